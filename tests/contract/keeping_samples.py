"""Histories to keep, and what somebody with the rights of an owner could do to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of

from store import PlanStore
from store.database import Database, Tx, connect
from store.events import RouteChosen
from store.guards import GUARDS, lifted
from store.layout import SELECT_EVENT
from store.log import chained_hash

ROUTE = RouteChosen(target="y → σ", symbol=None, route="ROUTE_BOTH", reason='IC 0.04 > 0.02, "quoted"\n\t\\')


def finished(store: PlanStore, *targets: str, planning_id: str | None = None) -> str:
    """Accept a plan, train all its fits, and return its id."""
    plan = plan_of(*(cs_job(target) for target in targets))
    store.accept(plan, source="test", name=f"plan of {targets[0]}", planning_id=planning_id)
    for stage in ("cpu", "gpu"):
        while claims := store.claim("w", stage=stage, limit=10):
            for claim in claims:
                store.started(claim, STARTED)
                store.succeeded(claim, SUCCEEDED)
    return plan.id


def history(store: PlanStore, clock: Clock) -> tuple[str, str]:
    """Two finished plans an hour apart, each after its planning, then an open one; return the first two."""
    store.record("n_1", [ROUTE])
    first = finished(store, "y1", "y2", planning_id="n_1")
    clock.move(3600)
    store.record("n_2", [ROUTE, ROUTE])
    second = finished(store, "y3", planning_id="n_2")
    clock.move(3600)
    store.accept(plan_of(cs_job("y4")), source="test", name="open")
    return first, second


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database of one's own over an address."""
    database = connect(url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def unguarded(url: str) -> Iterator[Tx]:
    """A write transaction of somebody who has lifted every guard, and puts them back."""
    with opened(url) as database, database.transaction() as tx, ExitStack() as stack:
        for guard in GUARDS:
            stack.enter_context(lifted(tx, guard))
        yield tx


def forge(url: str, seq: int) -> None:
    """Change an event and compute its hash and all behind it anew, as an attacker with the file can."""
    with unguarded(url) as tx:
        link = bytes(tx.query("SELECT hash FROM event WHERE seq = ?", (seq - 1,))[0][0])
        for row in tx.query(f"{SELECT_EVENT} WHERE seq >= ? ORDER BY seq", (seq,)):
            changed = (*row[:7], "mallory" if row[0] == seq else row[7], *row[8:])
            link = chained_hash(link, changed)
            tx.execute("UPDATE event SET actor = ?, hash = ? WHERE seq = ?", (changed[7], link, row[0]))


def cut_tail(url: str, after: int) -> None:
    """Remove every event behind a seq."""
    with unguarded(url) as tx:
        tx.execute("DELETE FROM event WHERE seq > ?", (after,))


def rows_of(url: str) -> list[tuple[object, ...]]:
    """Every row of the log, its bytes as bytes."""
    with opened(url) as database, database.snapshot() as tx:
        return [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in tx.query(f"{SELECT_EVENT} ORDER BY seq")
        ]
