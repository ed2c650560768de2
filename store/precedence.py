"""Which ready fits are claimed before one that waits: counted by plan, however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from store.database import Tx
from store.ordering import ClaimOrder
from store.ready import AT_WORK, NOW, READY
from store.records import FitRow

_PLANS = """
SELECT p.accepted_seq, p.plan_id, p.name, p.queued_at FROM plan AS p
WHERE p.state = 'active' ORDER BY p.accepted_seq
"""
_COUNTS = """
SELECT f.plan_order, f.priority, COUNT(*) FROM fit AS f WHERE {ready}
GROUP BY f.plan_order, f.priority ORDER BY f.plan_order, f.priority DESC
"""
_BEFORE = "f.plan_id = ? AND (f.priority > ? OR (f.priority = ? AND f.ordinal < ?))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Precedence:
    """Who comes before a fit: so many of its own plan, of other plans by name; what its plan has at work."""

    own: int = 0
    others: tuple[tuple[str, int], ...] = ()
    at_work: int = 0

    @property
    def fits(self) -> int:
        """How many come first."""
        return self.own + sum(fits for _, fits in self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """The ready fits of one plan in their order: how many of each priority, and since when it waits."""

    plan_order: int
    name: str
    queued_at: int
    at_work: int
    fits: tuple[tuple[int, int], ...]

    def before(self, number: int, plan_order: int, order: ClaimOrder) -> int:
        """Return how many of them have a lesser number than a fit of another plan, or come first of equals.

        Each is a share step behind the one before it.
        """
        found, passed = 0, self.at_work
        for priority, fits in self.fits:
            first = order.number(queued_at=self.queued_at, priority=priority, at_work=passed)
            behind = number - first + (self.plan_order < plan_order)
            passed += fits
            if behind > 0:
                found += fits if order.share_step == 0 else min(fits, -(-behind // order.share_step))
        return found


def precedence(tx: Tx, fit: FitRow, order: ClaimOrder, *, paused: Collection[str]) -> Precedence:
    """Return who comes before a fit in a claim of its stage, but for the plans that are paused."""
    lines = _lines(tx, fit.stage)
    sql = f"SELECT COUNT(*) FROM fit AS f WHERE {READY[fit.stage]} AND {_BEFORE}".replace(NOW, str(tx.now()))
    own = int(tx.query(sql, (fit.plan_id, fit.priority, fit.priority, fit.ordinal))[0][0])
    mine = lines.pop(fit.plan_id, None)
    if mine is None:
        return Precedence(own=own)
    number = order.number(queued_at=mine.queued_at, priority=fit.priority, at_work=mine.at_work + own)
    found = [
        (line.name, line.before(number, mine.plan_order, order))
        for plan_id, line in lines.items()
        if plan_id not in paused
    ]
    others = tuple((name, fits) for name, fits in found if fits)
    return Precedence(own=own, others=others, at_work=mine.at_work)


def _lines(tx: Tx, stage: str) -> dict[str, _Line]:
    """Return the ready fits of each open plan by its id."""
    counted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for plan_order, priority, fits in tx.query(
        _COUNTS.format(ready=READY[stage]).replace(NOW, str(tx.now()))
    ):
        counted[plan_order].append((priority, fits))
    at_work: dict[int, int] = dict(tx.query(AT_WORK))
    return {
        plan_id: _Line(
            plan_order=plan_order,
            name=str(name),
            queued_at=queued_at,
            at_work=at_work.get(plan_order, 0),
            fits=tuple(counted[plan_order]),
        )
        for plan_order, plan_id, name, queued_at in tx.query(_PLANS)
    }
