"""What a running host tells a screen: small frozen records. The event log is the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FitBegan:
    """A training process has read its data and chosen its device; `name` is ``<job_id>/<Family>``."""

    fit: str
    name: str
    stage: str
    attempt: int
    device_used: str
    device_reason: str
    resumed_from_step: int | None
    rows_train: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitMoved:
    """A fit came to `step` of at most `steps_total`."""

    fit: str
    name: str
    step: int
    steps_total: int
    valid_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEnded:
    """A fit's attempt ended.

    Attributes:
        outcome: "succeeded", "failed" (final), "retrying", "released" (stopped as asked), "lost" (its lease).
        sentence: why, for a person; empty after success.
        seconds: since the attempt was claimed.
        metrics: of the untouched test rows; empty unless succeeded.
        bundle: where the model is; None unless succeeded.
    """

    fit: str
    name: str
    stage: str
    attempt: int
    outcome: str
    sentence: str
    where: str
    seconds: float
    metrics: Mapping[str, Any]
    bundle: Path | None
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRescued:
    """A fit was taken back from a lease that ended without a last word."""

    fit: str
    name: str
    cause: str
    lost_seconds: float
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFinished:
    """All fits of a plan are final; the counts are of fits, `output` holds models, metrics and logs."""

    plan_id: str
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int
    output: Path


News = FitBegan | FitMoved | FitEnded | FitRescued | PlanFinished
Tell = Callable[[News], None]


def keep_quiet(_news: News) -> None:
    """Tell nobody."""
