"""Rows of the tables as the records that readers get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from store.awaited import awaited_of
from store.database import Row
from store.labels import labels_of
from store.moments import moment_of, optional_moment
from store.plan import Fit, Job
from store.projections import columns_of
from store.records import EventRow, FitRow, HostRow, JobRow, PlanRow
from store.state import FitState

_NOT_TOLD = frozenset(
    (
        "plan_order", "version", "checkpoint_attempt", "checkpoint_fence", "checkpoint_at", "dependents",
        "followers",
    )
)  # fmt: skip
FIT_COLUMNS = tuple(name for name in columns_of(FitState) if name not in _NOT_TOLD)
#: What reads fits for `fit_row`, from ``fit AS f``.
FIT_SQL = (
    f"SELECT {', '.join(f'f.{name}' for name in FIT_COLUMNS)}, l.expires_at "
    "FROM fit AS f LEFT JOIN lease AS l ON l.fit_id = f.fit_id"
)
_FIT_MOMENTS = frozenset(("not_before_at", "claimed_at", "started_at", "ended_at"))


def event_row(row: Row) -> EventRow:
    """Return an event of a row whose columns are those of `layout.SELECT_EVENT`."""
    return EventRow(
        seq=row[0],
        event_id=bytes(row[1]).hex(),
        stream=row[2],
        version=row[3],
        kind=row[4],
        schema_version=row[5],
        at=moment_of(row[6]),
        actor=row[7],
        correlation=row[8],
        plan=row[10],
        job=row[11],
        fit=row[12],
        attempt=row[13],
        data=json.loads(row[14]),
    )


def fit_row(row: Row) -> FitRow:
    """Return a fit of a row: `FIT_COLUMNS`, then the end of its lease."""
    values = dict(zip(FIT_COLUMNS, row[:-1], strict=True))
    for name in _FIT_MOMENTS:
        values[name] = optional_moment(values[name])
    metrics = values["metrics"]
    values["metrics"] = None if metrics is None else json.loads(metrics)
    for name in ("depends_on", "other_targets"):
        values[name] = tuple(json.loads(values[name] or "[]"))
    values["labels"] = labels_of(values["labels"])
    values["awaits"] = awaited_of(json.loads(values["awaits"] or "[]"))
    return FitRow(id=values.pop("fit_id"), lease_until=optional_moment(row[-1]), **values)


def job_row(values: dict[str, Any]) -> JobRow:
    """Return a job of its columns by name."""
    return JobRow(**{**values, "record": json.loads(values["record"])})


def plan_row(values: dict[str, Any]) -> PlanRow:
    """Return a plan of its columns by name."""
    for name in ("version", "accepted_seq", "header", "queued_at"):
        del values[name]
    values["data"], values["training"] = json.loads(values["data"]), json.loads(values["training"])
    values["accepted_at"] = moment_of(values["accepted_at"])
    values["completed_at"] = optional_moment(values["completed_at"])
    return PlanRow(id=values.pop("plan_id"), **values)


def host_row(values: dict[str, Any]) -> HostRow:
    """Return a host of its columns by name, with those of its last beat."""
    del values["version"]
    values["version"] = values.pop("daemon_version")
    values["started_at"] = moment_of(values["started_at"])
    for name in ("stopped_at", "removed_at", "beat_at"):
        values[name] = optional_moment(values[name])
    values["labels"] = labels_of(values["labels"])
    values["give_back"] = bool(values["give_back"])
    values["trouble"] = values["trouble"] or None
    return HostRow(**values)


def plan_fit(fit: FitRow) -> Fit:
    """Return a fit as its plan had it."""
    return Fit(
        id=fit.id,
        job_id=fit.job_id,
        family=fit.family,
        stage=fit.stage,
        ordinal=fit.ordinal,
        unavailable=fit.sentence if fit.state == "unavailable" else None,
        cores=fit.cores,
        gpus=fit.gpus,
        memory_bytes=fit.memory_bytes,
        depends_on=fit.depends_on,
        awaits=fit.awaits,
        other_targets=fit.other_targets,
        labels=fit.labels,
    )


def plan_job(job: JobRow, fits: Sequence[Fit]) -> Job:
    """Return a job as its plan had it."""
    features = job.record.get("features")
    return Job(
        id=job.job_id,
        ordinal=job.ordinal,
        target=job.target,
        symbol=job.symbol,
        route=job.route,
        training_type=job.training_type,
        priority=job.priority,
        reason=job.reason,
        features=None if features is None else tuple(features),
        metadata=job.record.get("metadata") or {},
        fits=tuple(fits),
        record=job.record,
    )
