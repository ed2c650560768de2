"""The fold: what each event does to the states, pure and total, the same live and when rebuilt.

Every event is folded as it was decoded from its payload, never as the object it was made from, so that a
live row and a rebuilt row cannot differ.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from store.canonical import canonical_text
from store.events import (
    CheckpointSaved,
    DaemonStarted,
    DaemonStopped,
    FeaturesSelected,
    FitCancelled,
    FitClaimed,
    FitFailed,
    FitProgressed,
    FitReleased,
    FitRetried,
    FitStarted,
    FitSucceeded,
    FitUnavailable,
    JobPlanned,
    LeakFound,
    LeaseExpired,
    PlanAccepted,
    PlanCompleted,
    PlanningFinished,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)
from store.log import Recorded
from store.moments import microseconds_of
from store.state import FINAL_STATES, DecisionState, FitState, HostState, JobState, PlanState, State

S = TypeVar("S", bound=State)


class Rows(Protocol):
    """Where the fold finds rows and leaves them: a dictionary, or a transaction's tables."""

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None."""

    def put(self, row: State) -> None:
        """Replace the row of the same key."""

    def add(self, row: State) -> None:
        """Put a row whose key is known to be new."""


def fold(rows: Rows, recorded: Recorded) -> None:
    """Apply one event of the log to the states."""
    match recorded.event:
        case PlanAccepted() as event:
            rows.add(_plan(event, recorded))
        case JobPlanned() as event:
            _job(rows, event, recorded)
        case PlanCompleted():
            _plan_version(rows, recorded, completed=True)
        case (
            PlanningStarted()
            | TargetRanked()
            | LeakFound()
            | FeaturesSelected()
            | RouteChosen()
            | PlanningFinished()
        ):
            rows.add(_decision(recorded))
        case DaemonStarted() | DaemonStopped():
            _host(rows, recorded)
        case _ if recorded.fit is not None:
            _fit(rows, recorded)
        case _:
            pass


def fit_after(fit: FitState, recorded: Recorded) -> FitState:
    """Return a fit's state after one event of its stream."""
    return replace(fit, version=recorded.version, **_fit_change(fit, recorded))


def _fit_change(fit: FitState, recorded: Recorded) -> dict[str, Any]:
    """Return the columns one event of a fit changes."""
    at = recorded.recorded_at
    match recorded.event:
        case FitClaimed() as event:
            return _claimed(event, recorded)
        case FitStarted() as event:
            return {
                "state": "running",
                "started_at": at,
                "pid": event.pid,
                "device_used": event.device_used,
                "device_reason": event.device_reason,
                "log": event.log,
            }
        case FitProgressed() as event:
            return {
                "step": event.step,
                "steps_total": event.steps_total,
                "train_loss": event.train_loss,
                "valid_loss": event.valid_loss,
            }
        case CheckpointSaved() as event:
            return {
                "checkpoint_step": event.step,
                "checkpoint_path": event.path,
                "checkpoint_attempt": fit.attempt,
                "checkpoint_fence": fit.fence,
                "checkpoint_at": at,
            }
        case FitSucceeded() as event:
            return {
                "state": "succeeded",
                "ended_at": at,
                "bundle": event.bundle,
                "bundle_sha256": event.sha256,
                "metrics": canonical_text(event.metrics),
                "seconds": event.seconds,
            }
        case _:
            return _fit_setback(fit, recorded)


def _fit_setback(fit: FitState, recorded: Recorded) -> dict[str, Any]:
    """Return the columns changed by an event that ends an attempt without success, or undoes an end."""
    at = recorded.recorded_at
    match recorded.event:
        case FitUnavailable() as event:
            return {"state": "unavailable", "ended_at": at, "cause": "unavailable", "sentence": event.reason}
        case FitFailed() as event:
            return {
                "state": "ready" if event.retry else "failed",
                "failures": fit.failures + 1,
                "not_before_at": _micros(event.retry_at),
                "ended_at": None if event.retry else at,
                "cause": event.cause,
                "sentence": event.sentence,
                "place": event.where,
            }
        case FitReleased() as event:
            return {"state": "ready", "worker": None, "cause": "released", "sentence": event.cause}
        case LeaseExpired() as event:
            return {
                "state": "ready",
                "expiries": fit.expiries + 1,
                "worker": None,
                "cause": "lease expired",
                "sentence": event.cause,
            }
        case FitRetried() as event:
            return {
                "state": "ready",
                "failures": 0,
                "expiries": 0,
                "worker": None,
                "not_before_at": None,
                "ended_at": None,
                "cause": "retried",
                "sentence": event.reason,
                "place": None,
            }
        case FitCancelled() as event:
            return {"state": "cancelled", "ended_at": at, "cause": "cancelled", "sentence": event.reason}
        case _:
            return {}


def _claimed(event: FitClaimed, recorded: Recorded) -> dict[str, Any]:
    return {
        "state": "claimed",
        "attempt": event.attempt,
        "fence": recorded.version,
        "worker": event.worker,
        "claimed_at": recorded.recorded_at,
        "not_before_at": None,
        "started_at": None,
        "pid": None,
        "device_used": None,
        "device_reason": None,
        "log": None,
        "cause": None,
        "sentence": None,
        "place": None,
    }


def _fit(rows: Rows, recorded: Recorded) -> None:
    """Apply an event to its fit, and the change of the fit's state to the counts of its plan."""
    fit = rows.get(FitState, recorded.fit)
    if fit is None:
        return
    after = fit_after(fit, recorded)
    rows.put(after)
    if after.state == fit.state or not {after.state, fit.state} & FINAL_STATES:
        return
    plan = rows.get(PlanState, fit.plan_id)
    if plan is None:
        return
    counts: dict[str, Any] = {}
    if fit.state in FINAL_STATES:
        counts |= {fit.state: getattr(plan, fit.state) - 1, "state": "active", "completed_at": None}
    if after.state in FINAL_STATES:
        counts[after.state] = getattr(plan, after.state) + 1
    rows.put(replace(plan, **counts))


def _plan(event: PlanAccepted, recorded: Recorded) -> PlanState:
    return PlanState(
        plan_id=event.plan,
        name=event.name,
        source=event.source,
        sha256=event.sha256,
        panel_key=event.panel_key,
        stage_barrier=event.stage_barrier,
        state="active",
        version=recorded.version,
        accepted_seq=recorded.seq,
        jobs=event.jobs,
        fits=event.fits,
        succeeded=0,
        failed=0,
        unavailable=0,
        cancelled=0,
        accepted_at=recorded.recorded_at,
        completed_at=None,
        data=canonical_text(event.data),
        training=canonical_text(event.training),
        header=canonical_text(event.header),
    )


def _plan_version(rows: Rows, recorded: Recorded, *, completed: bool = False) -> PlanState | None:
    """Move a plan to the version of an event of its stream and return it, or None when it is not known."""
    plan = rows.get(PlanState, recorded.plan)
    if plan is None:
        return None
    plan = replace(plan, version=recorded.version)
    if completed:
        plan = replace(plan, state="completed", completed_at=recorded.recorded_at)
    rows.put(plan)
    return plan


def _job(rows: Rows, event: JobPlanned, recorded: Recorded) -> None:
    """Add a job and its fits, ready to be claimed."""
    plan = _plan_version(rows, recorded)
    if plan is None:
        return
    about: dict[str, Any] = {
        "plan_id": plan.plan_id,
        "job_id": event.job,
        "target": event.target,
        "symbol": event.symbol,
        "route": event.route,
        "training_type": event.training_type,
        "priority": event.priority,
    }
    rows.add(
        JobState(ordinal=event.ordinal, reason=event.reason, record=canonical_text(event.record), **about)
    )
    for fit in event.fits:
        rows.add(
            FitState(
                fit_id=fit.fit,
                family=fit.family,
                stage=fit.stage,
                ordinal=fit.ordinal,
                plan_order=plan.accepted_seq,
                stage_barrier=plan.stage_barrier,
                state="ready",
                version=0,
                attempt=0,
                failures=0,
                expiries=0,
                fence=0,
                **about,
            )
        )


def _decision(recorded: Recorded) -> DecisionState:
    event = recorded.event
    return DecisionState(
        seq=recorded.seq,
        planning_id=recorded.stream.removeprefix("planning-"),
        kind=event.kind,
        target=getattr(event, "target", None),
        view=getattr(event, "view", None),
        symbol=getattr(event, "symbol", None),
        decided_at=recorded.recorded_at,
    )


def _host(rows: Rows, recorded: Recorded) -> None:
    """Note a daemon's start or stop on its host; a stop of another daemon than the last is left alone."""
    event, at = recorded.event, recorded.recorded_at
    known = rows.get(HostState, getattr(event, "host", ""))
    if isinstance(event, DaemonStarted):
        row = HostState(
            host=event.host,
            worker=event.worker,
            daemon_version=event.version,
            boot_id=event.boot_id,
            pid=event.pid,
            state="working",
            version=recorded.version,
            started_at=at,
            stopped_at=None,
            cause=None,
            previous_stop=event.previous_stop,
        )
        rows.put(row)
    elif isinstance(event, DaemonStopped) and known is not None:
        last: dict[str, Any] = {}
        if known.worker == event.worker:
            last = {"state": "stopped", "stopped_at": at, "cause": event.cause}
        rows.put(replace(known, version=recorded.version, **last))


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds_of(moment)
