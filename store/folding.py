"""The fold: what each event does to the states, pure and total, the same live and when rebuilt.

Every event is folded as it was decoded from its payload, never as the object it was made from, so that a
live row and a rebuilt row cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, get_args

from store.awaited import awaited_ids
from store.codec import json_of, text_of
from store.events import (
    FitEvent,
    JobPlanned,
    ModelPromoted,
    PlanAccepted,
    PlanArchived,
    PlanCompleted,
    PlannedFit,
    WorkPaused,
    WorkResumed,
)
from store.fit_folding import fit_change
from store.host_events import (
    DaemonReloaded,
    DaemonStarted,
    DaemonStopped,
    HostDraining,
    HostRemoved,
    HostReturned,
)
from store.ids import pause_scope
from store.labels import labels_text
from store.log import Recorded
from store.planning_events import (
    FeaturesSelected,
    LeakFound,
    PlanningFinished,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)
from store.state import (
    FINAL_STATES,
    DecisionState,
    FitState,
    HostState,
    JobState,
    PauseState,
    PlanState,
    State,
)

S = TypeVar("S", bound=State)
_OF_FITS = get_args(FitEvent)  # most events are: they are asked for first


class Rows(Protocol):
    """Where the fold finds rows and leaves them: a dictionary, or a transaction's tables."""

    def get(self, kind: type[S], *key: object) -> S | None:
        """Return the row of a key, or None."""

    def add(self, row: State) -> None:
        """Put a row whose key is known to be new."""

    def change(self, row: State, changes: Mapping[str, Any]) -> None:
        """Set columns of a row that `get` returned."""

    def remove(self, row: State) -> None:
        """Take a row that `get` returned away."""


def fold(rows: Rows, recorded: Recorded) -> None:
    """Apply one event of the log to the states."""
    if recorded.fit is not None and isinstance(recorded.event, _OF_FITS):
        _fit(rows, recorded)
        return
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
        case DaemonStarted() as event:
            _host_started(rows, event, recorded)
        case DaemonStopped() | DaemonReloaded() | HostDraining() | HostReturned() | HostRemoved() as event:
            _host(rows, event, recorded)
        case WorkPaused() | WorkResumed() as event:
            _pause(rows, event, recorded)
        case PlanArchived() | ModelPromoted():
            pass
        case _ if recorded.fit is not None:
            _fit(rows, recorded)
        case _:
            pass


def _fit(rows: Rows, recorded: Recorded) -> None:
    """Apply an event to its fit, to the counts of its plan, and to the fits that wait for it."""
    fit = rows.get(FitState, recorded.fit)
    if fit is None:
        return
    before = fit.state
    changes = fit_change(fit, recorded)
    changes["version"] = recorded.version
    rows.change(fit, changes)
    if fit.state == before or not {fit.state, before} & FINAL_STATES:
        return
    if fit.dependents is not None and "succeeded" in (before, fit.state):
        _tell(rows, json_of(fit.dependents), 1 if before == "succeeded" else -1)
    if fit.followers is not None and (more := _more_open(before, fit.state)):
        _tell(rows, json_of(fit.followers), more)
    plan = rows.get(PlanState, fit.plan_id)
    if plan is None:
        return
    counts: dict[str, Any] = {}
    if before in FINAL_STATES:
        counts |= {before: getattr(plan, before) - 1, "state": "active", "completed_at": None}
        if plan.state == "completed":
            counts["queued_at"] = recorded.recorded_at
    if fit.state in FINAL_STATES:
        counts[fit.state] = getattr(plan, fit.state) + 1
    rows.change(plan, counts)


def _more_open(before: str, after: str) -> int:
    """Return -1 for a fit that has ended, however it did, 1 for one that is open again, else 0."""
    return (before in FINAL_STATES) - (after in FINAL_STATES)


def _tell(rows: Rows, fit_ids: Sequence[str], more: int) -> None:
    """Count one fit more, or one less, that each of these fits waits for."""
    for fit_id in fit_ids:
        waiting = rows.get(FitState, fit_id)
        if waiting is not None:
            rows.change(waiting, {"waits_for": max(0, waiting.waits_for + more)})


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
        data=text_of(event.data),
        training=text_of(event.training),
        header=text_of(event.header),
        queued_at=recorded.recorded_at,
    )


def _plan_version(rows: Rows, recorded: Recorded, *, completed: bool = False) -> PlanState | None:
    """Move a plan to the version of an event of its stream and return it, or None when it is not known."""
    plan = rows.get(PlanState, recorded.plan)
    if plan is None:
        return None
    changes: dict[str, Any] = {"version": recorded.version}
    if completed:
        changes |= {"state": "completed", "completed_at": recorded.recorded_at}
    rows.change(plan, changes)
    return plan


def _job(rows: Rows, event: JobPlanned, recorded: Recorded) -> None:
    """Add a job and its fits, ready to be claimed."""
    plan = _plan_version(rows, recorded)
    if plan is None:
        return
    job = JobState(
        plan_id=plan.plan_id,
        job_id=event.job,
        ordinal=event.ordinal,
        target=event.target,
        symbol=event.symbol,
        route=event.route,
        training_type=event.training_type,
        priority=event.priority,
        reason=event.reason,
        record=text_of(event.record),
    )
    rows.add(job)
    dependents: dict[str, list[str]] = {}
    for fit in event.fits:
        for needed in fit.depends_on:
            dependents.setdefault(needed, []).append(fit.fit)
    for fit in event.fits:
        rows.add(_planned(fit, plan, job, dependents.get(fit.fit)))
    known = {fit.fit for fit in event.fits}
    for needed, waiting in dependents.items():
        if needed not in known:
            _add_dependents(rows, needed, waiting)


def _planned(fit: PlannedFit, plan: PlanState, job: JobState, dependents: Sequence[str] | None) -> FitState:
    """Return a fit as it is when its plan was accepted."""
    on_gpu = fit.stage == "gpu"
    return FitState(
        fit_id=fit.fit,
        plan_id=plan.plan_id,
        job_id=job.job_id,
        family=fit.family,
        stage=fit.stage,
        ordinal=fit.ordinal,
        plan_order=plan.accepted_seq,
        target=job.target,
        symbol=job.symbol,
        route=job.route,
        training_type=job.training_type,
        priority=job.priority,
        stage_barrier=plan.stage_barrier,
        state="ready",
        version=0,
        attempt=0,
        failures=0,
        expiries=0,
        fence=0,
        cores=fit.cores if fit.cores is not None else int(not on_gpu),
        gpus=fit.gpus if fit.gpus is not None else int(on_gpu),
        memory_bytes=fit.memory_bytes,
        waits_for=len(fit.depends_on) + len(awaited_ids(fit.awaits)),
        depends_on=text_of(fit.depends_on) if fit.depends_on else None,
        dependents=text_of(dependents) if dependents else None,
        awaits=text_of(fit.awaits) if fit.awaits else None,
        followers=text_of(fit.followers) if fit.followers else None,
        other_targets=text_of(fit.other_targets) if fit.other_targets else None,
        labels=labels_text(fit.labels),
    )


def _add_dependents(rows: Rows, needed: str, waiting: Sequence[str]) -> None:
    """Tell a fit of an earlier job who waits for it; a fit that is not known is waited for in vain."""
    fit = rows.get(FitState, needed)
    if fit is not None:
        before = json_of(fit.dependents) if fit.dependents is not None else []
        rows.change(fit, {"dependents": text_of([*before, *waiting])})


def _pause(rows: Rows, event: WorkPaused | WorkResumed, recorded: Recorded) -> None:
    scope = pause_scope(event.plan, event.stage, event.host)
    known = rows.get(PauseState, scope)
    match event:
        case WorkPaused() if known is None:
            rows.add(
                PauseState(
                    scope=scope,
                    plan_id=event.plan,
                    stage=event.stage,
                    host=event.host,
                    reason=event.reason,
                    paused_at=recorded.recorded_at,
                )
            )
        case WorkResumed() if known is not None:
            rows.remove(known)
        case _:
            pass


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


def _host_started(rows: Rows, event: DaemonStarted, recorded: Recorded) -> None:
    """Note a daemon's start; a host that was removed is back, and one that drains goes on draining."""
    known = rows.get(HostState, event.host)
    started: dict[str, Any] = {
        "worker": event.worker,
        "daemon_version": event.version,
        "boot_id": event.boot_id,
        "pid": event.pid,
        "state": "working",
        "version": recorded.version,
        "started_at": recorded.recorded_at,
        "stopped_at": None,
        "cause": None,
        "previous_stop": event.previous_stop,
        "labels": labels_text(event.labels),
        "machine": event.machine,
        "engine": event.engine,
        "removed_at": None,
    }
    if known is None:
        rows.add(HostState(host=event.host, **started))
    else:
        rows.change(known, started)


def _host(
    rows: Rows,
    event: DaemonStopped | DaemonReloaded | HostDraining | HostReturned | HostRemoved,
    recorded: Recorded,
) -> None:
    """Note what was said of a host; a stop of another daemon than the last is left alone."""
    known = rows.get(HostState, event.host)
    if known is None:
        return
    changes: dict[str, Any] = {"version": recorded.version}
    match event:
        case DaemonStopped() if known.worker == event.worker:
            changes |= {"state": "stopped", "stopped_at": recorded.recorded_at, "cause": event.cause}
        case DaemonReloaded() if event.labels is not None:
            changes |= {"labels": labels_text(event.labels)}
        case HostDraining():
            changes |= {"draining": event.reason, "give_back": int(event.give_back)}
        case HostReturned():
            changes |= {"draining": None, "give_back": 0}
        case HostRemoved():
            changes |= {"removed_at": recorded.recorded_at}
        case _:
            pass
    rows.change(known, changes)
