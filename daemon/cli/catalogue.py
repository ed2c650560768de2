"""``trainwright families``: the catalogue, what is usable here, and what each family has cost and reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import NoLogHere, json_option, reader_for, results_option
from executors.families import FAMILIES, Family, availability
from store.records import FitRow

HEADERS = ("family", "stage", "tasks", "library", "resumable", "usable here", "device", "time", "score")
NEVER = "-"


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


@click.command(epilog="Example: trainwright families")
@results_option
@json_option
def families(*, as_json: bool, **options: Path | None) -> None:
    """List the 20 model families: stage, tasks, library, whether they can be trained here, and how they did.

    Time and score are those of the fits in this place's event log, "-" where there is none.
    """
    fits = _past_fits(**options)
    job = _compared_job(fits)
    records = {family.name: _record(family, fits, job) for family in FAMILIES}
    if as_json:
        emit({"families": [_document(family, records[family.name]) for family in FAMILIES], "job": job})
        return
    say(table(HEADERS, [_line(family, records[family.name]) for family in FAMILIES], right=("time", "score")))
    if job is None:
        say("no fit here has ended well yet: trainwright demo --families all measures all of them")
    else:
        say(f"time: median of all fits here; score: out of sample, of {job}")


def _past_fits(**options: Path | None) -> Sequence[FitRow]:
    """Return the fits that ended well, none where nothing was recorded yet."""
    try:
        with reader_for(**options) as reader:
            return reader.fits(states=("succeeded",))
    except NoLogHere:
        return ()


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
        if fit.job_id == job and fit.metrics is not None
    ]
    return Record(
        fits=len(own),
        device=own[-1].device_used,
        seconds=median(fit.seconds or 0.0 for fit in own),
        score=scores[-1] if scores else None,
    )


def _line(family: Family, record: Record | None) -> tuple[str, ...]:
    reason = availability(family)
    return (
        family.name,
        family.stage,
        ", ".join(family.tasks),
        family.library or "numpy",
        "yes" if family.resumable else "no",
        "yes" if reason is None else f"no: {reason}",
        NEVER if record is None else record.device or NEVER,
        NEVER if record is None else f"{record.seconds:.1f} s",
        NEVER if record is None or record.score is None else _score(*record.score),
    )


def _score(metric: str, score: float, error: float) -> str:
    return f"{score:+.3f} ± {error:.3f} {metric}"


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
