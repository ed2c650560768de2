"""What a planning decided, as values: scores, leaks, selections, routes, each with the event that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.records import PlanRow

NORMAL_95 = 1.96  # standard errors to each side of a score where its interval was not written down


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A target's score for all symbols (`symbol` None) or for one, and what the planner made of it."""

    symbol: str | None
    metric: str
    score: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    p: float | None
    q: float | None
    kept: bool
    reason: str
    seq: int | None

    @property
    def skill(self) -> float | None:
        """How far the score lies above no skill: rank correlations as they are, AUC on the same scale."""
        return None if self.score is None else above_none(self.score, self.metric)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of 95 %: as it was written down, else from the standard error."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        if self.score is None or self.standard_error is None:
            return None
        away = NORMAL_95 * self.standard_error
        return self.score - away, self.score + away

    @property
    def skill_interval(self) -> tuple[float, float] | None:
        """The interval of 95 % on the scale of `skill`."""
        if self.interval is None:
            return None
        low, high = self.interval
        return above_none(low, self.metric), above_none(high, self.metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A probe's word about a feature of a target: SUSPECT or BLOCKED."""

    target: str
    feature: str
    verdict: str
    probe: str
    evidence: str
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The features of a target for all symbols or one, in their order; `left_out` None: nobody said."""

    symbol: str | None
    features: tuple[str, ...]
    left_out: int | None
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The route of a target for all symbols or one, and why."""

    symbol: str | None
    route: str
    reason: str
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTold:
    """All that was decided about one target.

    Attributes:
        rank: among those kept; None for others.
        kept: whether ranking kept it, for all symbols or for any.
        jobs: how many jobs of the plan train it.
        reason: why it was kept or dropped, in numbers.
        not_trained: why no job was made of it; empty where one was.
    """

    name: str
    rank: int | None
    kept: bool
    jobs: int
    fits: int
    reason: str
    scored: tuple[Scored, ...]
    leaks: tuple[Leak, ...]
    selections: tuple[Selection, ...]
    routes: tuple[Routed, ...]
    not_trained: tuple[str, ...]

    @property
    def pooled(self) -> Scored | None:
        """The score over all symbols together."""
        return next((one for one in self.scored if one.symbol is None), None)

    @property
    def best(self) -> Scored | None:
        """The score that speaks for it: of all symbols, else the surest of one symbol."""
        pooled = self.pooled
        if pooled is not None and pooled.score is not None:
            return pooled
        known = [one for one in self.scored if one.skill_interval is not None]
        return max(known, key=lambda one: (one.kept, one.skill_interval or (0.0, 0.0)), default=pooled)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTold:
    """A plan and what was decided on the way to it.

    Attributes:
        planning: id of the planning in this log; None where the plan was made elsewhere.
        linked: whether the log says that the plan came from it, or data and number of jobs only say so.
        decided_at: when.
        metadata: what the plan's document says of itself.
        targets: those ranked first, then those that were left out.
        job_kinds: (target, training type, route) and how many jobs there are of each.
    """

    plan: PlanRow
    planning: str | None
    linked: bool
    decided_at: datetime | None
    metadata: Mapping[str, Any]
    targets: tuple[TargetTold, ...]
    job_kinds: tuple[tuple[str, str, str, int], ...]

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """All leaks, those of the targets ranked first before others."""
        return tuple(leak for target in self.targets for leak in target.leaks)


def above_none(value: float, metric: str) -> float:
    """A score above no skill on one scale for all metrics (Somers' D): an AUC counts twice above one half."""
    return 2.0 * (value - 0.5) if metric.startswith("auc") else value
