"""A training plan as flat rows for spreadsheets, shells and other programs: one per job or one per fit."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FORMATS = ("csv", "ndjson", "json", "md")

_JOB_COLUMNS = (
    "job_id",
    "target",
    "symbol",
    "route",
    "training_type",
    "priority",
    "model_families",
    "estimated_samples",
    "features",
    "reason",
)
_FACTS = ("task", "horizon_bars", "metric", "score", "stability", "leakage_status")
_FIT_COLUMNS = ("job_id", "family", "stage", "target", "symbol", "route", "priority", "depends_on")


def exported(plan: Mapping[str, Any], *, form: str, what: str) -> Iterator[str]:
    """Yield the text of a plan's jobs or fits (`what`) in one of FORMATS, in plan order."""
    rows = list(fit_rows(plan) if what == "fits" else job_rows(plan))
    if form == "ndjson":
        yield from (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    elif form == "json":
        yield json.dumps({"v": 1, what: rows}, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    elif form == "md":
        yield from _markdown(rows)
    else:
        yield from _csv(rows)


def job_rows(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one flat row per job: its fields, the numbers it was routed by, and its cost (`job_cost`)."""
    for job in plan["jobs"]:
        facts = job.get("metadata") or {}
        seconds, memory_bytes = job_cost(job)
        yield {
            **{name: job.get(name) for name in _JOB_COLUMNS},
            **{name: facts.get(name) for name in _FACTS},
            "estimated_seconds": seconds,
            "estimated_bytes": memory_bytes,
        }


def job_cost(job: Mapping[str, Any]) -> tuple[float | None, int | None]:
    """Return the seconds of all fits one after the other and the bytes of the largest; None: unknown."""
    estimates = [fit.get("estimate") or {} for fit in job.get("fits") or ()]
    seconds = [estimate["seconds"] for estimate in estimates if estimate.get("seconds") is not None]
    sizes = [estimate["memory_bytes"] for estimate in estimates if estimate.get("memory_bytes") is not None]
    return (round(sum(seconds), 1) if seconds else None), max(sizes, default=None)


def fit_rows(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one flat row per fit; of an older plan, whose jobs name families only, one per family."""
    for job in plan["jobs"]:
        fits = job.get("fits")
        if fits is None:
            fits = [{"family": family} for family in job.get("model_families") or ()]
        for fit in fits:
            estimate = fit.get("estimate") or {}
            yield {
                **{name: fit.get(name, job.get(name)) for name in _FIT_COLUMNS},
                "features": None if job.get("features") is None else len(job["features"]),
                "estimated_seconds": estimate.get("seconds"),
                "estimated_bytes": estimate.get("memory_bytes"),
            }


def _csv(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(_cell(value) for value in row.values())
    yield text.getvalue()


def _markdown(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(rows[0])} |\n|{'|'.join('---' for _ in rows[0])}|\n"
    for row in rows:
        cells = (_cell(value).replace("\\", "\\\\").replace("|", "\\|") for value in row.values())
        yield f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |\n"


def _cell(value: object) -> str:
    """A value as one cell: nothing for None, the items of a list separated by blanks."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)
