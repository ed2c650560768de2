"""A plan enters the log: its header, its jobs, and a word on every fit that cannot run here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from store.events import FitUnavailable, JobPlanned, PlanAccepted, PlannedFit
from store.ids import fit_stream, plan_stream
from store.log import Draft, Recorded
from store.moments import moment_of
from store.plan import Job, Plan
from store.records import Accepted
from store.state import PlanState
from store.turn import Turn

AT_ONCE = 1000  # events made, folded and written together


def accept(turn: Turn, plan: Plan, *, source: str, name: str, correlation: str | None) -> Accepted:
    """Append a plan unless it is there already, and return its receipt.

    The events are made and written a thousand at a time: a plan of any size takes the same memory.
    """
    known = turn.rows.get(PlanState, plan.id)
    if known is not None:
        return Accepted(plan_id=plan.id, new=False, at=moment_of(known.accepted_at), seq=known.accepted_seq)
    drafts = chain(_plan_drafts(plan, source=source, name=name), _unavailable_drafts(plan))
    first: Recorded | None = None
    while some := tuple(islice(drafts, AT_ONCE)):
        recorded = turn.append(some, actor="intake", correlation=correlation or plan.id)
        first = first or recorded[0]
        turn.flush()
    _give_up_dependents(turn, plan)
    turn.complete(plan.id, actor="intake")
    seq = first.seq if first is not None else 0
    return Accepted(plan_id=plan.id, new=True, at=moment_of(turn.now), seq=seq)


def _give_up_dependents(turn: Turn, plan: Plan) -> None:
    """Make the fits unavailable that need one which is unavailable from the beginning."""
    for fit in plan.fits:
        if fit.unavailable is not None:
            turn.give_up_dependents(turn.fit(fit.id))


def _plan_drafts(plan: Plan, *, source: str, name: str) -> Iterator[Draft]:
    stream = plan_stream(plan.id)
    accepted = PlanAccepted(
        plan=plan.id,
        sha256=plan.sha256,
        name=name,
        source=source,
        jobs=len(plan.jobs),
        fits=len(plan.fits),
        panel_key=plan.panel_key,
        stage_barrier=plan.stage_barrier,
        data=plan.data,
        training=plan.training,
        header={key: value for key, value in plan.document.items() if key != "jobs"},
    )
    yield Draft(stream=stream, version=1, event=accepted, plan=plan.id)
    for version, job in enumerate(plan.jobs, start=2):
        yield Draft(stream=stream, version=version, event=_planned(job), plan=plan.id, job=job.id)


def _planned(job: Job) -> JobPlanned:
    return JobPlanned(
        job=job.id,
        ordinal=job.ordinal,
        target=job.target,
        symbol=job.symbol,
        route=job.route,
        training_type=job.training_type,
        priority=job.priority,
        reason=job.reason,
        record=job.record,
        fits=tuple(
            PlannedFit(
                fit=fit.id,
                family=fit.family,
                stage=fit.stage,
                ordinal=fit.ordinal,
                cores=fit.cores,
                gpus=fit.gpus,
                memory_bytes=fit.memory_bytes,
                depends_on=fit.depends_on,
            )
            for fit in job.fits
        ),
    )


def _unavailable_drafts(plan: Plan) -> Iterator[Draft]:
    for fit in plan.fits:
        if fit.unavailable is not None:
            yield Draft(
                stream=fit_stream(fit.id),
                version=1,
                event=FitUnavailable(reason=fit.unavailable),
                plan=plan.id,
                job=fit.job_id,
                fit=fit.id,
            )
