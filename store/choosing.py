"""The choice of a claim: the most urgent ready fits that no pause, stage or want of room holds back.

Within a plan the order is that of priority and of the document. Among plans it is that of `store.ordering`,
and depends on what each has at work: the first fits of the plans are looked at side by side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from store.database import Row, Statement
from store.labels import offering
from store.ordering import ClaimOrder
from store.projections import READ, read_columns
from store.ready import AT_WORK, FOUND, OPEN_PLANS, ORDER, PASSED, PAUSES, READY, SKIP
from store.records import Room
from store.state import FitState
from store.turn import Turn

FIT_WIDTH = len(READ[FitState])
# Looked up for the few rows that are returned, not joined to all that might be.
_TOLD = f"""
SELECT {read_columns(FitState, "f")},
  (SELECT j.record FROM job AS j WHERE j.plan_id = f.plan_id AND j.job_id = f.job_id),
  (SELECT p.data FROM plan AS p WHERE p.plan_id = f.plan_id),
  (SELECT p.training FROM plan AS p WHERE p.plan_id = f.plan_id),
  COALESCE(f.other_targets, '[]'),
  (SELECT l.fit_id FROM lease AS l WHERE l.fit_id = f.fit_id) IS NOT NULL
"""
SELECT_FIT = f"{_TOLD}FROM fit AS f\n"
# The only open plan; where there are several, none, and the question finds nothing without looking.
_ONLY_PLAN = """(
SELECT CASE WHEN COUNT(*) = 1 THEN MIN(p.accepted_seq) END FROM plan AS p WHERE p.state = 'active'
)"""
# Since when each plan waits, and the first of its fits that could start.
_QUEUES = """
SELECT p.accepted_seq, p.plan_id, p.queued_at, h.priority, h.cores, h.gpus, h.memory_bytes
FROM plan AS p JOIN fit AS h ON h.fit_id = (
  SELECT f.fit_id FROM fit AS f WHERE f.plan_order = p.accepted_seq AND {conditions}
  ORDER BY {order} LIMIT 1)
WHERE p.state = 'active'
"""
_PLAN, _PRIORITY = READ[FitState].index("plan_id"), READ[FitState].index("priority")
_NEEDS = tuple(READ[FitState].index(name) for name in ("cores", "gpus", "memory_bytes"))
Needs = tuple[int, ...]  # cores, devices, bytes of memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a claim asks for.

    Attributes:
        stage: of the fits.
        limit: how many fits at most.
        plans: whose fits, of all plans if it is None.
        room: what is free at the host; None: whatever they need.
        host: whose pauses hold.
        order: how priority and shares weigh.
        labels: what the host offers; fits that need others are left to others.
        fits: only these, whatever comes before them; None: any.
    """

    stage: str
    limit: int
    plans: Collection[str] | None = None
    room: Room | None = None
    host: str | None = None
    order: ClaimOrder = field(default_factory=ClaimOrder)
    labels: Collection[str] = ()
    fits: Collection[str] | None = None


def opening(wanted: Wanted) -> tuple[Statement, ...]:
    """Return the questions that a claim asks in one round trip, before it knows of pauses and stages.

    The second, of the CPU stage, finds the fits where only one plan is open, as it mostly is.
    """
    pauses = (PAUSES, (wanted.host,))
    if wanted.fits is not None:
        return pauses, _named_fits(wanted, wanted.fits)
    return pauses, ((OPEN_PLANS, ()) if wanted.stage == "gpu" else _first_fits(wanted, None))


def chosen_rows(
    turn: Turn, wanted: Wanted, answers: Sequence[Sequence[Row]], *, ended: Mapping[str, int] | None = None
) -> list[Row]:
    """Return the rows of the fits to be claimed, most urgent first: `FIT_WIDTH` columns, then the extras.

    The extras are the job's record, the plan's data and training, the fit's other targets, and whether a
    lease was left behind. The answers are those to `opening`; `ended` counts by plan the fits that end in
    this turn. Of plans whose CPU stage is not over no fit is looked at one by one: a hundred thousand may
    wait there.
    """
    pauses = [pause for pause in answers[0] if _concerns(pause, wanted)]
    paused = frozenset(plan_id for plan_id, *_ in pauses)
    if None in paused:
        return []
    closed = []
    if wanted.fits is not None:
        named = [row for row in answers[1] if _is_asked(wanted, row[_PLAN], paused)]
        return _filled(wanted, named)[: wanted.limit]
    if wanted.stage == "gpu":
        found = [(order, gated or not _is_asked(wanted, plan, paused)) for plan, order, gated in answers[1]]
        closed = [order for order, is_closed in found if is_closed]
        left = [order for order, is_closed in found if not is_closed]
        if len(left) <= 1:
            return _filled(wanted, turn.query(*_first_fits(wanted, left[0]))) if left else []
    elif answers[1]:
        return _filled(wanted, [row for row in answers[1] if _is_asked(wanted, row[_PLAN], paused)])
    queues = _queues(turn, wanted, closed, ended or {})
    return _chosen(turn, wanted, [queue for queue in queues if _is_asked(wanted, queue.plan_id, paused)])


def _is_asked(wanted: Wanted, plan_id: str, paused: Collection[str | None]) -> bool:
    """Return whether a claim is about a plan, and may be."""
    return plan_id not in paused and (wanted.plans is None or plan_id in wanted.plans)


def _filled(wanted: Wanted, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that fit into the room together, in their order."""
    space = _Space(wanted.room)
    return [row for row in rows if space.take(row)]


def _concerns(pause: Row, wanted: Wanted) -> bool:
    """Return whether a pause holds for the stage and host of a claim."""
    _, stage, host, _ = pause
    return (stage is None or stage == wanted.stage) and (host is None or host == wanted.host)


def _whole(wanted: Wanted) -> Room | None:
    """Return what the host has when nothing runs, None where it keeps no room for fits that need much."""
    return wanted.room.whole if wanted.room is not None else None


def _first_fits(wanted: Wanted, plan_order: int | None) -> Statement:
    """Return the question for the first fits of a plan, or of the only one, with all a claim needs."""
    within, parameters = _within(wanted, wanted.room)
    plan, of_plan = (_ONLY_PLAN, []) if plan_order is None else ("?", [plan_order])
    where = f"f.plan_order = {plan} AND {READY[wanted.stage]}{within}"
    sql = f"{_TOLD}FROM {FOUND} WHERE {where} ORDER BY {ORDER} LIMIT ?{PASSED}"
    return sql, [*of_plan, *parameters, wanted.limit]


def _named_fits(wanted: Wanted, fits: Collection[str]) -> Statement:
    """Return the question for those of some fits that can be claimed, found by their ids and nothing else."""
    within, parameters = _within(wanted, wanted.room)
    named = f"f.fit_id IN ({', '.join('?' * len(fits))})" if fits else "1 = 0"
    ready = READY[wanted.stage].replace("f.state =", "COALESCE(f.state, '') =")  # no index of the ready ones
    sql = f"{SELECT_FIT} WHERE {named} AND {ready}{within} ORDER BY f.plan_order, {ORDER}{SKIP}"
    return sql, [*sorted(fits), *parameters]


def _within(wanted: Wanted, room: Room | None) -> tuple[str, list[int | str]]:
    """Return the condition that a host has what a fit needs, and room for it alone, with its parameters."""
    labels, parameters = offering(wanted.labels)
    if room is None:
        return labels, [*parameters]
    if room.memory_bytes is None:
        return f"{labels} AND f.cores <= ? AND f.gpus <= ?", [*parameters, room.cores, room.gpus]
    words = f"{labels} AND f.cores <= ? AND f.gpus <= ? AND f.memory_bytes <= ?"
    return words, [*parameters, room.cores, room.gpus, room.memory_bytes]


@dataclass(slots=True, kw_only=True)
class _Queue:
    """The ready fits of one plan.

    Attributes:
        at_work: how many fits of the plan are claimed or run, on any host.
        priority: of its first fit.
        needs: of its first fit.
        rows: its first fits, once its turn has come.
    """

    plan_order: int
    plan_id: str
    queued_at: int
    at_work: int
    priority: int
    needs: Needs
    rows: deque[Row] = field(default_factory=deque)

    def number(self, order: ClaimOrder) -> int:
        """The number of its next fit."""
        priority = self.rows[0][_PRIORITY] if self.rows else self.priority
        return order.number(queued_at=self.queued_at, priority=priority, at_work=self.at_work)


class _Space:
    """What is left of a room while a claim is filled."""

    def __init__(self, room: Room | None) -> None:
        self._left = None if room is None else [room.cores, room.gpus, room.memory_bytes]

    def lacks(self, needs: Needs) -> tuple[int, ...]:
        """Return the places in `needs` of what is too little."""
        if self._left is None:
            return ()
        pairs = enumerate(zip(needs, self._left, strict=True))
        return tuple(place for place, (need, have) in pairs if have is not None and need > have)

    def take(self, row: Row) -> bool:
        """Take what a fit needs; False where it is not there."""
        needs = tuple(row[place] for place in _NEEDS)
        if self.lacks(needs):
            return False
        if self._left is not None:
            pairs = zip(needs, self._left, strict=True)
            self._left = [None if have is None else have - need for need, have in pairs]
        return True


def _queues_of(wanted: Wanted, closed: Sequence[int]) -> Statement:
    """Return the question for the queues of the plans, but for closed ones, that have a fit for this host."""
    within, parameters = _within(wanted, _whole(wanted) or wanted.room)
    sql = _QUEUES.format(conditions=READY[wanted.stage] + within, order=ORDER)
    if closed:
        sql += f"AND p.accepted_seq NOT IN ({', '.join('?' * len(closed))})"
    return sql, [*parameters, *closed]


def _queues(turn: Turn, wanted: Wanted, closed: Sequence[int], ended: Mapping[str, int]) -> list[_Queue]:
    """Return the queues of the plans, but for closed ones.

    What they have at work is counted only where it weighs them against each other: one alone comes first.
    """
    found = turn.query(*_queues_of(wanted, closed))
    at_work: dict[int, int] = dict(turn.query(AT_WORK)) if len(found) > 1 else {}
    return [
        _Queue(
            plan_order=plan_order,
            plan_id=plan_id,
            queued_at=queued_at,
            at_work=at_work.get(plan_order, 0) - ended.get(plan_id, 0),
            priority=priority,
            needs=tuple(needs),
        )
        for plan_order, plan_id, queued_at, priority, *needs in found
    ]


def _chosen(turn: Turn, wanted: Wanted, queues: Sequence[_Queue]) -> list[Row]:
    """Return the fits of several plans that are to be claimed, in their order; a chosen one counts at once.

    Of each plan as many fits are looked at as are wanted, and only of plans whose turn comes.
    """
    space, chosen = _Space(wanted.room), list[Row]()
    kept = tuple(_kept_free(queues, wanted, space))
    unread = sorted((queue.number(wanted.order), queue.plan_order, queue) for queue in queues)[::-1]
    read: list[tuple[int, int, _Queue]] = []
    while len(chosen) < wanted.limit and (read or unread):
        if unread and (not read or unread[-1] < read[0]):
            some = [unread.pop()[-1] for _ in range(min(wanted.limit, len(unread)))]
            asked = [_first_fits(wanted, queue.plan_order) for queue in some]
            for queue, rows in zip(some, turn.queries(asked), strict=True):
                queue.rows = deque(rows)
        else:
            number, _, queue = heappop(read)
            row, some = queue.rows.popleft(), [queue]
            others = [one for one in kept if one.plan_order != queue.plan_order and number > one.above]
            if not any(one.is_touched_by(row) for one in others) and space.take(row):
                chosen.append(row)
                queue.at_work += 1
        for queue in some:
            if queue.rows:
                heappush(read, (queue.number(wanted.order), queue.plan_order, queue))
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Room that is kept free for the first fit of a plan, from fits of others whose number is above one."""

    plan_order: int
    above: int
    lacking: tuple[int, ...]

    def is_touched_by(self, row: Row) -> bool:
        """Whether a fit needs some of what is kept."""
        return any(row[_NEEDS[place]] for place in self.lacking)


def _kept_free(queues: Sequence[_Queue], wanted: Wanted, space: _Space) -> Iterator[_Kept]:
    """Yield what is kept free: a fit that needs much would wait for ever where small ones never end.

    It is passed by those of its own plan, and of others by those that are at most a priority step behind it.
    """
    for queue in queues if _whole(wanted) is not None else ():
        lacking = space.lacks(queue.needs)
        if lacking:
            above = queue.number(wanted.order) + wanted.order.priority_step
            yield _Kept(plan_order=queue.plan_order, above=above, lacking=lacking)
