"""The choice of a claim: the most urgent ready fits that no pause, stage or want of room holds back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from store.database import Row, Statement
from store.projections import READ, read_columns
from store.ready import OPEN_PLANS, ORDER, PAUSES, READY, SKIP
from store.records import Room
from store.state import FitState
from store.turn import Turn

FIT_WIDTH = len(READ[FitState])
# Looked up for the few rows that are returned, not joined to all that might be.
_SELECT = f"""
SELECT {read_columns(FitState, "f")},
  (SELECT j.record FROM job AS j WHERE j.plan_id = f.plan_id AND j.job_id = f.job_id),
  (SELECT p.data FROM plan AS p WHERE p.plan_id = f.plan_id),
  (SELECT p.training FROM plan AS p WHERE p.plan_id = f.plan_id),
  COALESCE(f.other_targets, '[]'),
  (SELECT l.fit_id FROM lease AS l WHERE l.fit_id = f.fit_id) IS NOT NULL
FROM fit AS f
"""
_NEEDS = tuple(READ[FitState].index(name) for name in ("cores", "gpus", "memory_bytes"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a claim asks for: fits of a stage, of these plans only if given, within a room, for a host."""

    stage: str
    limit: int
    plans: Collection[str] | None = None
    room: Room | None = None
    host: str | None = None


def opening(wanted: Wanted) -> tuple[Statement, ...]:
    """Return the questions that a claim asks in one round trip, before it knows of pauses and stages."""
    if wanted.stage == "gpu":
        return ((PAUSES, ()), (OPEN_PLANS, ()))
    return ((PAUSES, ()), _most_urgent(wanted, ()))


def chosen_rows(turn: Turn, wanted: Wanted, answers: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of the fits to be claimed, most urgent first: `FIT_WIDTH` columns, then the extras.

    The extras are the job's record, the plan's data and training, the fit's other targets, and whether a
    lease was left behind. The answers are those to `opening`. Of plans that are paused, or whose CPU stage is
    not over, no fit is looked at one by one: a hundred thousand may wait there.
    """
    if wanted.plans is not None and not wanted.plans:
        return []
    pauses = [pause for pause in answers[0] if _concerns(pause, wanted)]
    if any(plan_id is None for plan_id, *_ in pauses):
        return []
    if wanted.stage != "gpu" and not pauses:
        return _within(wanted.room, answers[1])
    plans = answers[1] if wanted.stage == "gpu" else turn.query(OPEN_PLANS)
    paused = {plan_id for plan_id, *_ in pauses}
    closed = [
        order for plan_id, order, gated in plans if plan_id in paused or (gated and wanted.stage == "gpu")
    ]
    if len(closed) == len(plans):
        return []
    return _within(wanted.room, turn.query(*_most_urgent(wanted, closed)))


def _concerns(pause: Row, wanted: Wanted) -> bool:
    """Return whether a pause holds for the stage and host of a claim."""
    _, stage, host, _ = pause
    return (stage is None or stage == wanted.stage) and (host is None or host == wanted.host)


def _most_urgent(wanted: Wanted, closed: Sequence[int]) -> Statement:
    """Return the question for the most urgent ready fits outside closed plans, with all a claim needs."""
    parameters: list[object] = []
    conditions = [READY[wanted.stage]]
    if wanted.plans is not None:
        parameters += sorted(wanted.plans)
        conditions.append(f"f.plan_id IN ({', '.join('?' * len(wanted.plans))})" if wanted.plans else "1 = 0")
    if closed:
        parameters += closed
        conditions.append(f"f.plan_order NOT IN ({', '.join('?' * len(closed))})")
    if wanted.room is not None:
        parameters += [wanted.room.cores, wanted.room.gpus]
        conditions.append("f.cores <= ? AND f.gpus <= ?")
        if wanted.room.memory_bytes is not None:
            parameters.append(wanted.room.memory_bytes)
            conditions.append("f.memory_bytes <= ?")
    sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY {ORDER} LIMIT ?{SKIP}"
    return sql, [*parameters, wanted.limit]


def _within(room: Room | None, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that fit into a room together, in their order."""
    if room is None:
        return list(rows)
    left = [room.cores, room.gpus, room.memory_bytes]
    chosen = []
    for row in rows:
        needs = [row[place] for place in _NEEDS]
        if all(have is None or need <= have for need, have in zip(needs, left, strict=True)):
            left = [None if have is None else have - need for need, have in zip(needs, left, strict=True)]
            chosen.append(row)
    return chosen
