"""A plan enters the log: its header, its jobs, and a word on every fit that cannot run here."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice

from store.awaited import awaited_ids, short_group, shortage_words
from store.events import FitUnavailable, JobPlanned, PlanAccepted, PlannedFit
from store.ids import fit_stream, plan_stream
from store.log import Draft, Recorded
from store.moments import moment_of
from store.plan import Fit, Job, Plan
from store.records import Accepted
from store.state import PlanState
from store.turn import GIVING_UP, Turn

Beat = Callable[[], None]
AT_ONCE = 1000  # events made, folded and written together


def no_beat() -> None:
    """Nobody waits for a sign of life."""


def accept(
    turn: Turn, plan: Plan, *, source: str, name: str, correlation: str | None, beat: Beat = no_beat
) -> Accepted:
    """Append a plan unless it is there already, and return its receipt.

    The events are made and written a thousand at a time, with a `beat` after each: a plan of any size takes
    the same memory, and whoever waits knows that it goes on.
    """
    known = turn.rows.get(PlanState, plan.id)
    if known is not None:
        return Accepted(plan_id=plan.id, new=False, at=moment_of(known.accepted_at), seq=known.accepted_seq)
    told = correlation or plan.id
    drafts = chain(_plan_drafts(plan, source=source, name=name), _unavailable_drafts(plan))
    seq = _append_all(turn, drafts, actor="intake", correlation=told, beat=beat)
    _append_all(turn, _given_up_drafts(plan), actor=GIVING_UP, correlation=told, beat=beat)
    turn.complete(plan.id, actor="intake")
    return Accepted(plan_id=plan.id, new=True, at=moment_of(turn.now), seq=seq)


def _append_all(turn: Turn, drafts: Iterator[Draft], *, actor: str, correlation: str, beat: Beat) -> int:
    """Append events a thousand at a time; returns the seq of the first, 0 for none."""
    first: Recorded | None = None
    while some := tuple(islice(drafts, AT_ONCE)):
        recorded = turn.append(some, actor=actor, correlation=correlation)
        first = first or recorded[0]
        turn.flush()
        beat()
    return first.seq if first is not None else 0


def _plan_drafts(plan: Plan, *, source: str, name: str) -> Iterator[Draft]:
    stream = plan_stream(plan.id)
    followers = _followers(plan.fits)
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
        yield Draft(stream=stream, version=version, event=_planned(job, followers), plan=plan.id, job=job.id)


def _planned(job: Job, followers: Mapping[str, list[str]]) -> JobPlanned:
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
                awaits=fit.awaits,
                followers=tuple(followers.get(fit.id, ())),
                other_targets=fit.other_targets,
                labels=fit.labels,
            )
            for fit in job.fits
        ),
    )


def _followers(fits: Iterable[Fit]) -> dict[str, list[str]]:
    """Return by id of a fit the ids of those that are made from it: also of jobs before its own."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for fit in fits:
        for fit_id in awaited_ids(fit.awaits):
            found[fit_id].append(fit.id)
    return dict(found)


def _unavailable_drafts(plan: Plan) -> Iterator[Draft]:
    """Yield a word on every fit that cannot run here, or for which its plan has too little."""
    for fit in plan.fits:
        word = _unavailable(fit)
        if word is not None:
            yield _draft(fit, word, plan)


def _unavailable(fit: Fit) -> FitUnavailable | None:
    if fit.unavailable is not None:
        return FitUnavailable(reason=fit.unavailable)
    if fit.lacking is not None:
        return FitUnavailable(reason=fit.lacking, needs="")
    short = short_group(fit.awaits, lambda _: False)
    return None if short is None else FitUnavailable(reason=shortage_words(short), needs="")


def _given_up_drafts(plan: Plan) -> Iterator[Draft]:
    """Yield a word on every fit that waits in vain for one which is unavailable from the beginning."""
    lost = {fit.id: fit for fit in plan.fits if _unavailable(fit) is not None}
    waiting: defaultdict[str, list[Fit]] = defaultdict(list)
    for fit in plan.fits if lost else ():
        for fit_id in dict.fromkeys((*fit.depends_on, *awaited_ids(fit.awaits))):
            waiting[fit_id].append(fit)
    left = deque(lost.values())
    while left:
        gone = left.popleft()
        for fit in waiting[gone.id]:
            reason = None if fit.id in lost else _given_up(fit, gone, lost)
            if reason is not None:
                lost[fit.id] = fit
                left.append(fit)
                yield _draft(fit, FitUnavailable(reason=reason, needs=gone.id), plan)


def _given_up(fit: Fit, gone: Fit, lost: Mapping[str, Fit]) -> str | None:
    """Return why a fit waits in vain once another is unavailable; None when it does not."""
    named = f"{gone.job_id}/{gone.family}, which is unavailable"
    if gone.id in fit.depends_on:
        return f"it needs {named}"
    short = short_group(fit.awaits, lost.__contains__)
    return None if short is None else shortage_words(short, named)


def _draft(fit: Fit, event: FitUnavailable, plan: Plan) -> Draft:
    return Draft(stream=fit_stream(fit.id), version=1, event=event, plan=plan.id, job=fit.job_id, fit=fit.id)
