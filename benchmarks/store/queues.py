"""Claim and complete of fits that do nothing, one at a time, against a status table without any log.

The floor, by hand on the raw driver: ``BEGIN``; select the first ready row by priority and id (``FOR UPDATE
SKIP LOCKED`` on Postgres); set it running with worker, fence + 1 and the end of its lease; ``COMMIT``; then
``BEGIN``; set it succeeded where id, fence and state still fit; ``COMMIT``. One partial index on the ready
rows, fillfactor 70, values as parameters, prepared by the driver. It writes no event, keeps no history, knows
no stage, dependency, plan or hold. "one statement" is the same with ``UPDATE … RETURNING`` in autocommit: a
fourth of the round trips on Postgres, shown for the reader.

Ours is `PlanStore.claim` and `PlanStore.succeeded`: the log, the hash chain and every projection included.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import psycopg

from benchmarks.store.cluster import Cluster
from benchmarks.store.crew import Act, Crew
from benchmarks.store.figures import Figure, Sample, Side, compare, ratio_figure, say
from benchmarks.store.options import Options
from benchmarks.store.plans import DONE, plan_of
from store import open_store
from store.database import sqlite_path

LEASE_SECONDS = 60
_CLAIM = "UPDATE fit SET state = 'running', worker = ?, fence = fence + 1, lease_until = ? WHERE id = ?"
_END = "UPDATE fit SET state = 'succeeded' WHERE id = ? AND fence = ? AND state = 'running'"
_FIRST = "SELECT id, fence FROM fit WHERE state = 'ready' ORDER BY priority DESC, id LIMIT 1"
_TABLE = (
    "CREATE TABLE fit (id {key}, priority integer NOT NULL, state text NOT NULL, worker text, "
    "fence integer NOT NULL DEFAULT 0, lease_until {number})"
)
_INDEX = "CREATE INDEX fit_ready ON fit (priority DESC, id) WHERE state = 'ready'"


def queue_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of claim and complete one at a time: both engines, one worker and four."""
    for workers in (1, 4):
        say(f"claim and complete one at a time, workers: {workers}")
        yield from _figures(options, cluster, "SQLite", workers)
        yield from _figures(options, cluster, "Postgres", workers)


def _figures(options: Options, cluster: Cluster, engine: str, workers: int) -> Iterator[Figure]:
    pid = cluster.pid if engine == "Postgres" else None
    by_hand, one_statement = (
        (drain_by_hand, drain_by_statement) if pid else (drain_file_by_hand, drain_file_by_statement)
    )
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, prepare in (("by hand", by_hand), ("one statement", one_statement)):
            url = floor_table(options, cluster, engine)
            crew = stack.enter_context(Crew(prepare, url, workers=workers, server_pid=pid))
            sides[name] = filled(crew, floor_filler(url, options.fits))
        url = cluster.store() if pid else options.sqlite_store()
        crew = stack.enter_context(Crew(drain_store, url, workers=workers, server_pid=pid))
        sides["store"] = filled(crew, store_filler(url, options.fits))
        found = compare(sides, rounds=options.rounds)
    what = f"claim + complete one at a time, {engine}, {workers} worker{'s' if workers > 1 else ''}"
    yield ratio_figure(what, found, floor="by hand", ours="store", bar=0.75)
    yield ratio_figure("  same, floor in one statement", found, floor="one statement", ours="store", bar=None)


class Drains(Protocol):
    """Workers that can be told to work until nothing is left."""

    def drain(self) -> Sample:
        """Work until nothing is left."""


def filled(crew: Drains, fill: Callable[[], object]) -> Side:
    """Return the side that fills, not timed, and then drains, timed."""

    def act() -> Sample:
        fill()
        return crew.drain()

    return act


def store_filler(url: str, fits: int, *, tidy: bool = True) -> Callable[[], object]:
    """Return what accepts a new plan of so many fits; `tidy` vacuums after it, as the floor does."""
    store = open_store(url)

    def fill() -> None:
        store.accept(plan_of(fits), source="bench", name="bench")
        if tidy and url.startswith("postgresql"):
            vacuum(url)

    return fill


def floor_filler(url: str, fits: int) -> Callable[[], object]:
    """Return what puts so many ready rows into the status table."""

    def fill() -> None:
        if url.startswith("sqlite"):
            connection = raw_sqlite(url)
            connection.execute("BEGIN IMMEDIATE")
            sql = "INSERT INTO fit (priority, state) VALUES (2, 'ready')"
            connection.executemany(sql, [()] * fits)
            connection.execute("COMMIT")
            connection.close()
            return
        with psycopg.connect(url) as server:
            sql = "INSERT INTO fit (priority, state) SELECT 2, 'ready' FROM generate_series(1, %s)"
            server.execute(sql, (fits,))
        vacuum(url)

    return fill


def vacuum(url: str) -> None:
    """Do for both sides what autovacuum does for a table in use, between the rounds."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("VACUUM (ANALYZE)")


def floor_table(options: Options, cluster: Cluster, engine: str) -> str:
    """Return the address of a fresh database with the status table."""
    if engine == "Postgres":
        url = cluster.empty()
        key = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        with psycopg.connect(url) as server:
            server.execute((_TABLE.format(key=key, number="bigint") + " WITH (fillfactor = 70)").encode())
            server.execute(_INDEX.encode())
        return url
    url = f"sqlite:///{options.folder / f'floor{time.monotonic_ns()}.db'}"
    connection = raw_sqlite(url)
    connection.execute(_TABLE.format(key="INTEGER PRIMARY KEY", number="integer"))
    connection.execute(_INDEX)
    connection.close()
    return url


def raw_sqlite(url: str) -> sqlite3.Connection:
    """Return a connection with the durability of the store and the driver's own waiting for locks."""
    connection = sqlite3.connect(sqlite_path(url), isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def drain_store(url: str) -> Act:
    """Return the act of claiming and completing by the store, one at a time, until nothing is left."""
    store = open_store(url)

    def act() -> int:
        done = 0
        while claims := store.claim("bench", stage="cpu", lease_seconds=LEASE_SECONDS):
            store.succeeded(claims[0], DONE)
            done += 1
        return done

    return act


def drain_by_hand(url: str) -> Act:
    """Return the floor's act on Postgres."""
    server = psycopg.connect(url, autocommit=True)
    first = f"{_FIRST} FOR UPDATE SKIP LOCKED"
    claim, end = _CLAIM.replace("?", "%s"), _END.replace("?", "%s")

    def act() -> int:
        done = 0
        while True:
            server.execute("BEGIN")
            found = server.execute(first).fetchone()
            if found is None:
                server.execute("COMMIT")
                return done
            server.execute(claim, ("bench", _lease_until(), found[0]))
            server.execute("COMMIT")
            server.execute("BEGIN")
            server.execute(end, (found[0], found[1] + 1))
            server.execute("COMMIT")
            done += 1

    return act


def drain_by_statement(url: str) -> Act:
    """Return the act of the one-statement variant on Postgres."""
    server = psycopg.connect(url, autocommit=True)
    place = f"({_FIRST.replace(', fence', '')} FOR UPDATE SKIP LOCKED)"
    claim = f"{_CLAIM.replace('id = ?', 'id = ' + place)} RETURNING id, fence".replace("?", "%s")
    end = _END.replace("?", "%s")

    def act() -> int:
        done = 0
        while found := server.execute(claim, ("bench", _lease_until())).fetchone():
            server.execute(end, found)
            done += 1
        return done

    return act


def drain_file_by_hand(url: str) -> Act:
    """Return the floor's act on SQLite."""
    connection = raw_sqlite(url)

    def act() -> int:
        done = 0
        while True:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_FIRST).fetchone()
            if found is None:
                connection.execute("COMMIT")
                return done
            connection.execute(_CLAIM, ("bench", _lease_until(), found[0]))
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_END, (found[0], found[1] + 1))
            connection.execute("COMMIT")
            done += 1

    return act


def drain_file_by_statement(url: str) -> Act:
    """Return the act of the one-statement variant on SQLite."""
    connection = raw_sqlite(url)
    place = f"({_FIRST.replace(', fence', '')})"
    claim = f"{_CLAIM.replace('id = ?', 'id = ' + place)} RETURNING id, fence"

    def act() -> int:
        done = 0
        while found := connection.execute(claim, ("bench", _lease_until())).fetchone():
            connection.execute(_END, found)
            done += 1
        return done

    return act


def _lease_until() -> int:
    return int(time.time() * 1_000_000) + LEASE_SECONDS * 1_000_000
