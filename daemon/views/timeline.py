"""Which attempt ran when and beside which, and how many fits waited: what the Gantt picture shows.

Read from the log, newest first and bounded: a plan of ten thousand fits costs as much as one of a hundred.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from store.filters import FitFilter
from store.moments import moment_of
from store.plan import STAGES
from store.reading import Reader
from store.records import EventRow, FitRow, PlanRow

LIMIT = 160  # attempts that are shown
QUEUED_SHOWN = 4  # of each stage
ENDINGS = {
    "FitSucceeded": "succeeded",
    "FitFailed": "failed",
    "FitReleased": "lost",
    "LeaseExpired": "lost",
    "FitCancelled": "cancelled",
}
RUNNING = "running"
_STEPS = 50  # the right edge moves by about such a part of the whole, not with every look
_POINTS = 600  # and what is drawn of now by such: a picture that looks the same is the same
_SECOND = timedelta(seconds=1)
_REST_LEAST, _REST_FACTOR = timedelta(minutes=2), 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One attempt at a fit.

    `kind` is succeeded, failed, lost (taken back or given back), cancelled or running; `again` says that the
    fit went back into the queue; `done` is the share of its steps that a running one has behind it.
    """

    fit: str
    name: str
    stage: str
    attempt: int
    start: datetime
    end: datetime | None
    kind: str
    again: bool = False
    done: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTold:
    """One stage: its attempts side by side in lanes, how many fits waited since when, and who is next.

    `waiting` is the number of waiting fits from each moment on, oldest first; empty where it is not known.
    """

    stage: str
    lanes: tuple[tuple[Segment, ...], ...]
    waiting: tuple[tuple[datetime, int], ...]
    queued: tuple[FitRow, ...]
    queued_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What ran from `start` to `end`.

    `now` is the moment of the look, None where nothing runs or the window ends before it; `before` is when
    the newest of the attempts ended that are left out, None where there are none.
    """

    start: datetime
    end: datetime
    now: datetime | None
    stages: tuple[StageTold, ...]
    shown: int
    before: datetime | None


def timeline(
    log: Reader,
    *,
    then: Reader | None = None,
    until: int | None = None,
    plan: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = LIMIT,
    now: datetime | None = None,
) -> Timeline | None:
    """Return the newest attempts, or those between two moments; None where none was ever begun nor waits.

    Args:
        log: the log as it is.
        then: the states of the moment that is looked at, where that is not now.
        until: the last event of that moment.
        plan: only attempts of this plan.
        start: with `end` the window to look at; each may be left out.
        end: see `start`.
        limit: how many attempts are shown at most.
        now: the moment that is looked at, by default that of the states.
    """
    states = then or log
    low = 0 if start is None else seq_at(log, start)
    head = log.head_seq() if until is None else until
    high = head if end is None else min(seq_at(log, end), head)
    is_present = high == head  # the window reaches to the moment that is looked at
    segments = _segments(log, states if is_present else None, (low, high, head), plan, limit)
    looked_at = now or moment_of(states.now())
    segments = [one for one in segments if _overlaps(one, start, end)]
    segments.sort(key=lambda one: (one.end or looked_at, one.start, one.fit))
    shown = segments[-limit:]
    if start is None and end is None:
        shown = _since_the_last_rest(shown, states.plans(), looked_at)
    left_out = segments[: len(segments) - len(shown)]
    counts = states.fit_counts(plan) if is_present else {}
    waiting = {stage: counts.get((stage, "ready"), 0) for stage in STAGES}
    if not shown and not any(waiting.values()) and start is None:
        return None
    first, last = _window(shown, start, end, looked_at, cut=len(segments) > limit and len(shown) == limit)
    stages = []
    for stage in STAGES:
        own = [one for one in shown if one.stage == stage]
        ready = waiting.get(stage, 0)
        accepted = _accepted(states, plan, stage, first) if is_present else []
        queued = _queued(states, plan, stage) if ready else ()
        told = StageTold(
            stage=stage, lanes=_lanes(own), queued=queued, queued_total=ready,
            waiting=_depths(own, ready, accepted, first) if is_present else (),
        )  # fmt: skip
        if told.lanes or ready:
            stages.append(told)
    runs = is_present and any(one.end is None for one in shown)
    return Timeline(
        start=first, end=last, now=_drawn_now(first, last, looked_at) if runs else None,
        stages=tuple(stages), shown=len(shown), before=_before(log, left_out, low, plan),
    )  # fmt: skip


def seq_at(reader: Reader, moment: datetime) -> int:
    """Return the seq of the last event up to a moment, in few questions: the log is in the order of time."""
    low, high = 0, reader.head_seq()
    while low < high:
        middle = (low + high) // 2
        page = reader.events(after=middle, limit=1)
        if page and page[0].at <= moment:
            low = page[0].seq
        else:
            high = middle
    return low


def _segments(
    log: Reader, states: Reader | None, bounds: tuple[int, int, int], plan: str | None, limit: int
) -> list[Segment]:
    """The attempts that ended in a part of the log, that began before its end, and that run; bounded.

    `bounds` are the part's first and last seq, and that of the last event that may be known.
    """
    low, high, head = bounds
    ended = log.newest_events(tuple(ENDINGS), after=low, until=high, plan=plan, limit=limit + 1)
    begun = log.newest_events(("FitClaimed",), until=high, plan=plan, limit=limit + 1)
    running = () if states is None else states.fits(plan=plan, states=("claimed", "running"), limit=limit)
    ids = dict.fromkeys(event.fit for event in (*ended, *begun) if event.fit is not None)
    history: dict[str, list[EventRow]] = defaultdict(list)
    for event in log.events_of(tuple(ids), kinds=("FitClaimed", *ENDINGS)):
        if event.fit is not None and event.seq <= head:
            history[event.fit].append(event)
    names = log.fit_names(tuple(dict.fromkeys((*ids, *(fit.id for fit in running)))))
    rows = {fit.id: fit for fit in running}
    found = []
    for fit_id, name in names.items():
        attempts = list(_attempts(fit_id, name.name, name.stage, history[fit_id]))
        row = rows.get(fit_id)
        if row is not None and not any(one.end is None for one in attempts) and row.claimed_at is not None:
            attempts.append(_open(fit_id, name.name, name.stage, row.attempt, row.claimed_at))
        found += [
            _with_progress(one, row) if one.end is None and row is not None else one for one in attempts
        ]
    return found


def _attempts(fit: str, name: str, stage: str, events: Iterable[EventRow]) -> Iterable[Segment]:
    """The attempts that a fit's claims and endings tell of."""
    claim: EventRow | None = None
    for event in events:
        if event.kind == "FitClaimed":
            claim = event
        elif claim is not None:
            again = event.kind in ("FitReleased", "LeaseExpired") or bool(event.data.get("retry"))
            begun = _open(fit, name, stage, _attempt(claim), claim.at)
            yield replace(begun, end=event.at, kind=ENDINGS[event.kind], again=again)
            claim = None
    if claim is not None:
        yield _open(fit, name, stage, _attempt(claim), claim.at)


def _attempt(claim: EventRow) -> int:
    return int(claim.attempt or claim.data.get("attempt") or 1)


def _open(fit: str, name: str, stage: str, attempt: int, start: datetime) -> Segment:
    return Segment(fit=fit, name=name, stage=stage, attempt=attempt, start=start, end=None, kind=RUNNING)


def _with_progress(segment: Segment, row: FitRow) -> Segment:
    if not row.steps_total:
        return segment
    return replace(segment, done=min(1.0, (row.step or 0) / row.steps_total))


def _overlaps(one: Segment, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or one.end is None or one.end >= start) and (end is None or one.start <= end)


def _window(
    shown: Sequence[Segment],
    start: datetime | None,
    end: datetime | None,
    now: datetime,
    *,
    cut: bool,
) -> tuple[datetime, datetime]:
    """From when to when: all that is shown, or where older work is cut off from the first ending on."""
    last = end or max((one.end or now for one in shown), default=now)
    ended = [(one.end, one.end - one.start) for one in shown if one.end is not None]
    first = start
    if first is None and cut and ended:  # by what has ended alone: what runs would move it all the time
        first = min(moment for moment, _ in ended) - sorted(took for _, took in ended)[len(ended) // 2]
    if first is None:
        first = min((one.start for one in shown), default=last - _SECOND)
    span = max(last - first, _SECOND)
    if end is None and len(ended) < len(shown):
        step = timedelta(seconds=2.0 ** math.floor(math.log2(span.total_seconds() / _STEPS)))
        return first, first + step * (1 + -(-span // step))
    return first, first + span


def _drawn_now(first: datetime, last: datetime, now: datetime) -> datetime:
    """Now, to a point of the picture."""
    point = (last - first) / _POINTS
    return first + point * ((now - first) // point)


def _since_the_last_rest(
    segments: Sequence[Segment], plans: Sequence[PlanRow], now: datetime
) -> list[Segment]:
    """The attempts since no plan was open for much longer than all that came after; all without such a rest.

    What ran last night is not squeezed to nothing by what ran a week ago. A rest while fits waited stays: it
    is what somebody wants to see.
    """
    begun = sorted(segments, key=lambda one: one.start, reverse=True)
    last = max((one.end or now for one in segments), default=now)
    for place, later in enumerate(begun[:-1], start=1):
        ended = max(one.end or now for one in begun[place:])
        rest, work = later.start - ended, last - later.start
        if rest > max(_REST_LEAST, _REST_FACTOR * work) and not any(
            plan.accepted_at <= ended and (plan.completed_at is None or plan.completed_at >= later.start)
            for plan in plans
        ):
            return [one for one in segments if one.start >= later.start]
    return list(segments)


def _before(log: Reader, left_out: Sequence[Segment], low: int, plan: str | None) -> datetime | None:
    """When the newest attempt ended that is left out."""
    ends = [one.end for one in left_out if one.end is not None]
    if low:
        ends += [event.at for event in log.newest_events(tuple(ENDINGS), until=low, plan=plan, limit=1)]
    return max(ends, default=None)


def _lanes(segments: Sequence[Segment]) -> tuple[tuple[Segment, ...], ...]:
    """The attempts side by side: each in the first lane that is free when it begins."""
    lanes: list[list[Segment]] = []
    for one in sorted(segments, key=lambda one: (one.start, one.end is None, one.fit)):
        free = next((lane for lane in lanes if _is_free(lane[-1], one.start)), None)
        if free is None:
            lanes.append([one])
        else:
            free.append(one)
    return tuple(tuple(lane) for lane in lanes)


def _is_free(last: Segment, moment: datetime) -> bool:
    return last.end is not None and last.end <= moment


def _queued(states: Reader, plan: str | None, stage: str) -> tuple[FitRow, ...]:
    where = FitFilter(plan=plan, states=("ready",), stages=(stage,))
    return states.fit_page(where, order="urgency", limit=QUEUED_SHOWN).rows


def _accepted(states: Reader, plan: str | None, stage: str, first: datetime) -> list[tuple[datetime, int]]:
    """When plans were accepted within the window, and how many fits of the stage each brought."""
    within = [row for row in states.plans() if plan in (None, row.id) and row.accepted_at >= first]
    return [(row.accepted_at, _fits_of(states.fit_counts(row.id), stage)) for row in within[-QUEUED_SHOWN:]]


def _fits_of(counts: Mapping[tuple[str, str], int], stage: str) -> int:
    """How many fits of a stage there are that could ever run."""
    return sum(n for (of, state), n in counts.items() if of == stage and state != "unavailable")


def _depths(
    segments: Sequence[Segment], ready: int, accepted: Sequence[tuple[datetime, int]], first: datetime
) -> tuple[tuple[datetime, int], ...]:
    """How many fits waited from which moment on, told backwards from how many wait now."""
    moves: list[tuple[datetime, int]] = [(one.start, -1) for one in segments if one.start >= first]
    moves += [(one.end, 1) for one in segments if one.again and one.end is not None]
    for moment, fits in accepted:
        bisect.insort(moves, (moment, fits))
    moves.sort()
    count, steps = ready, []
    for moment, move in reversed(moves):
        steps.append((moment, max(0, count)))
        count -= move
    steps.append((first, max(0, count)))
    kept = dict(steps[::-1])  # of several moves at once the last counts
    return tuple(sorted(kept.items())) if any(kept.values()) else ()
