"""The catalogue of families: what is usable here, and what each has cost and reached by the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from executors.families import FAMILIES, Family, availability
from store.records import FitRow

SCORED = frozenset(("metric", "score", "standard_error"))  # what older logs may not have of a model


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the fits of one family have been like.

    Attributes:
        fits: how many ended well.
        device: where the newest of them was trained.
        seconds: median time of all.
        score: of its fit in the job that most families were trained for, with its metric; None: none there.
    """

    fits: int
    device: str | None
    seconds: float
    score: tuple[str, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the families have been like in one log.

    Attributes:
        records: by the name of the family; None for one without a finished fit.
        job: the job their scores are of; None where no fit has ended well.
    """

    records: Mapping[str, Record | None]
    job: str | None

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "families": [_document(family, self.records[family.name]) for family in FAMILIES],
            "job": self.job,
        }


def catalogue(fits: Sequence[FitRow]) -> Catalogue:
    """Return what the families have been like, by the fits that ended well."""
    job = _compared_job(fits)
    return Catalogue(records={family.name: _record(family, fits, job) for family in FAMILIES}, job=job)


def _compared_job(fits: Sequence[FitRow]) -> str | None:
    """Return the job with models of the most families, the first by name of equals: there they compare."""
    families = {(fit.plan_id, fit.job_id, fit.family) for fit in fits}
    by_job = Counter(job for _, job, _ in families)
    return min(by_job, key=lambda job: (-by_job[job], job), default=None)


def _record(family: Family, fits: Sequence[FitRow], job: str | None) -> Record | None:
    own = [fit for fit in fits if fit.family == family.name]
    if not own:
        return None
    scores = [
        (str(fit.metrics["metric"]), float(fit.metrics["score"]), float(fit.metrics["standard_error"]))
        for fit in own
        if fit.job_id == job and fit.metrics is not None and fit.metrics.keys() >= SCORED
    ]
    return Record(
        fits=len(own),
        device=own[-1].device_used,
        seconds=median(fit.seconds or 0.0 for fit in own),
        score=scores[-1] if scores else None,
    )


def _document(family: Family, record: Record | None) -> Mapping[str, object]:
    reason = availability(family)
    measured = None
    if record is not None:
        metric, score, error = record.score or (None, None, None)
        measured = {
            "fits": record.fits,
            "device": record.device,
            "seconds_median": record.seconds,
            "metric": metric,
            "score": score,
            "standard_error": error,
        }
    return {
        "name": family.name,
        "stage": family.stage,
        "tasks": list(family.tasks),
        "refusal": family.refusal or None,
        "library": family.library,
        "available": reason is None,
        "reason": reason,
        "resumable": family.resumable,
        "device": "cuda" if family.stage == "gpu" else "cpu",
        "measured": measured,
    }
