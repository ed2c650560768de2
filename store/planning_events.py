"""The planner's decisions as events: which targets were ranked, which leaks found, which routes chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningStarted:
    """A planning began over this data."""

    kind: ClassVar[str] = "PlanningStarted"
    schema_version: ClassVar[int] = 1
    data_dir: str
    symbols: tuple[str, ...] = ()
    panel_key: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRanked:
    """A target was scored in one view; kept or dropped with the reason in numbers.

    Attributes:
        low: where the interval of 95 % of the score begins; plannings before did not say it.
        high: where it ends.
        rank: that of the target among all that are kept in any view; None for others.
    """

    kind: ClassVar[str] = "TargetRanked"
    schema_version: ClassVar[int] = 1
    target: str
    view: str
    symbol: str | None
    score: float | None
    standard_error: float | None
    p: float | None
    q: float | None
    kept: bool
    reason: str
    metric: str = ""
    low: float | None = None
    high: float | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFound:
    """A feature was judged SUSPECT or BLOCKED for a target by a probe, with its evidence."""

    kind: ClassVar[str] = "LeakFound"
    schema_version: ClassVar[int] = 1
    target: str
    feature: str
    verdict: str
    probe: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesSelected:
    """The features of a target (of one symbol, or of all) were chosen.

    Plannings before did not say what has a default here.

    Attributes:
        because: the reason for each feature, chosen or left out; where there are very many, for some.
        steadiness: of each chosen one the share of the training folds that chose it or a twin of it.
        weights: of each chosen one its share of importance, mean over methods and folds.
        folds: how many there were.
        jaccard: overlap of what two folds chose, mean over all pairs.
        tau: Kendall's, of the importance of what two folds chose.
    """

    kind: ClassVar[str] = "FeaturesSelected"
    schema_version: ClassVar[int] = 1
    target: str
    symbol: str | None
    features: tuple[str, ...]
    left_out: int
    because: Mapping[str, str] = field(default_factory=dict)
    steadiness: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    folds: int = 0
    jaccard: float | None = None
    tau: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChosen:
    """A route was chosen for a target (of one symbol, or of all), with the reason in numbers."""

    kind: ClassVar[str] = "RouteChosen"
    schema_version: ClassVar[int] = 1
    target: str
    symbol: str | None
    route: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningFinished:
    """A planning ended; `path` is the plan directory it wrote."""

    kind: ClassVar[str] = "PlanningFinished"
    schema_version: ClassVar[int] = 1
    plan: str | None
    jobs: int
    path: str


PlanningEvent = PlanningStarted | TargetRanked | LeakFound | FeaturesSelected | RouteChosen | PlanningFinished
