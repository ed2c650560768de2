"""Appending events, without any projection, against the raw driver.

The floors insert rows that were made before the clock started: the same sixteen columns, into the very table
the migrations make (same uniques, checks and indexes), with the same durability. They check no version, read
no head of the log, hash nothing and encode nothing. The judged floor has the guards of the table (its
triggers) dropped; "guarded" is the same insert with them, as the store itself has it.

On Postgres there are two ways to commit one insert: an ordinary transaction (BEGIN, INSERT, COMMIT) and one
statement in autocommit, which saves two round trips. Both stand in the table.

Ours, one at a time, is `PlanStore.reject`: the whole of a public method that appends one event which no
projection keeps (`PlanRefused`), so that none is in either side: the turn alone on the log, the stream's
version, number, encoding, hash chain, guards, commit. `PlanStore.record` of the same size, with its
projection (an index of decisions), stands beside it for the reader. In batches it is `store.log.append`, the
same without the fold: versions checked, numbered, encoded, chained, inserted behind the guards, committed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import count

import psycopg

from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, Sample, Side, compare, ratio_figure, say, timed
from benchmarks.store.options import Options
from store import log, open_store
from store.database import connect, sqlite_path
from store.errors import PlanRejected
from store.events import PlanRefused
from store.layout import COLUMNS
from store.planning_events import TargetRanked

RANKED = TargetRanked(
    target="fwd_ret_5d",
    view="CROSS_SECTIONAL",
    symbol=None,
    score=0.01,
    standard_error=0.02,
    p=0.3,
    q=0.5,
    kept=False,
    reason="dropped: rank_ic 0.01 (95 % -0.03 to 0.05), z 0.5, q 0.5 above 0.05",
)
SENTENCE = "the target fwd_ret_5d is not among the columns of the data, of which there are 212"
FIX = "Name one of the columns, or set target_patterns so that it is found; the nearest is fwd_ret_5m_close"
REFUSED = PlanRefused(
    name="nightly", source="inbox/nightly", place="jobs[3].target", sentence=SENTENCE, fix=FIX
)
REJECTED = PlanRejected(source="inbox/nightly", place="jobs[3].target", sentence=SENTENCE, fix=FIX)
BATCH = 10_000
_TYPES = (
    "int8", "bytea", "text", "int8", "text", "int8", "int8", "text", "text", "bytea", "text", "text", "text",
    "int8", "text", "bytea",
)  # fmt: skip
Row = tuple[object, ...]


def append_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of appending, on both engines."""
    say("append, one event per commit")
    yield from _sqlite_single(options)
    yield from _postgres_single(options, cluster)
    say("append, 10,000 events per commit")
    yield from _sqlite_batch(options)
    yield from _postgres_batch(options, cluster)


def _sqlite_single(options: Options) -> Iterator[Figure]:
    bare, guarded = _raw_sqlite(options, guards=False), _raw_sqlite(options, guards=True)
    url = options.sqlite_store()
    sides: dict[str, Side] = {
        "raw sqlite3": lambda: _one_by_one(options, bare),
        "raw sqlite3, guarded": lambda: _one_by_one(options, guarded),
        "reject": _single(options, url, None),
        "record, projected": _recorded(options, url, None),
    }
    found = compare(sides, rounds=options.rounds)
    what = "append, one event per commit, SQLite"
    yield ratio_figure(what, found, floor="raw sqlite3", ours="reject", bar=0.7)
    yield ratio_figure(
        "  same, guards in the floor", found, floor="raw sqlite3, guarded", ours="reject", bar=None
    )
    yield ratio_figure(
        "  same, projection in ours", found, floor="raw sqlite3", ours="record, projected", bar=None
    )


def _postgres_single(options: Options, cluster: Cluster) -> Iterator[Figure]:
    sides: dict[str, Side] = {}
    for name, guards, autocommit in (
        ("psycopg", False, False),
        ("psycopg autocommit", False, True),
        ("psycopg, guarded", True, False),
    ):
        act = _raw_postgres(cluster, guards=guards, autocommit=autocommit)
        sides[name] = lambda act=act: _one_by_one(options, act, cluster.pid)  # type: ignore[misc]
    url = cluster.store()
    sides["reject"] = _single(options, url, cluster.pid)
    sides["record, projected"] = _recorded(options, url, cluster.pid)
    found = compare(sides, rounds=options.rounds)
    what = "append, one event per commit, Postgres"
    yield ratio_figure(what, found, floor="psycopg", ours="reject", bar=0.7)
    for label, floor, ours in (
        ("  same, floor in one round trip", "psycopg autocommit", "reject"),
        ("  same, guards in the floor", "psycopg, guarded", "reject"),
        ("  same, projection in ours", "psycopg", "record, projected"),
    ):
        yield ratio_figure(label, found, floor=floor, ours=ours, bar=None)


def _sqlite_batch(options: Options) -> Iterator[Figure]:
    connection = _bare_sqlite(options.sqlite_store(), guards=False)
    rows = _rows()
    sql = _insert("?")

    def raw() -> Sample:
        batch = [next(rows) for _ in range(BATCH)]

        def act() -> int:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql, batch)
            connection.execute("COMMIT")
            return BATCH

        return timed(act)

    sides = {"raw executemany": raw, "log.append": _batched(options.sqlite_store(), None)}
    found = compare(sides, rounds=options.rounds)
    what = "append in batches of 10,000, SQLite"
    yield ratio_figure(what, found, floor="raw executemany", ours="log.append", bar=0.5)


def _postgres_batch(options: Options, cluster: Cluster) -> Iterator[Figure]:
    connection = _bare_postgres(cluster.store(), guards=False, autocommit=False)
    rows = _rows()
    sql = f"COPY event ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)".encode()

    def raw() -> Sample:
        batch = [next(rows) for _ in range(BATCH)]

        def act() -> int:
            with connection.cursor() as cursor, cursor.copy(sql) as copy:
                copy.set_types(_TYPES)
                for row in batch:
                    copy.write_row(row)
            connection.commit()
            return BATCH

        return timed(act, server_pid=cluster.pid)

    sides = {"binary COPY": raw, "log.append": _batched(cluster.store(), cluster.pid)}
    found = compare(sides, rounds=options.rounds)
    what = "append in batches of 10,000, Postgres"
    yield ratio_figure(what, found, floor="binary COPY", ours="log.append", bar=0.5)


def _one_by_one(options: Options, insert: Callable[[Row], None], pid: int | None = None) -> Sample:
    """Insert prepared rows, each with its own commit."""
    start = _STARTS.setdefault(insert, _rows())
    rows = [next(start) for _ in range(options.appends)]

    def act() -> int:
        for row in rows:
            insert(row)
        return len(rows)

    return timed(act, server_pid=pid)


_STARTS: dict[Callable[[Row], None], Iterator[Row]] = {}


def _single(options: Options, url: str, pid: int | None) -> Side:
    store = open_store(url)

    def act() -> int:
        for _ in range(options.appends):
            store.reject(REJECTED, name="nightly")
        return options.appends

    return lambda: timed(act, server_pid=pid)


def _batched(url: str, pid: int | None) -> Side:
    database, versions = connect(url), count(1)

    def side() -> Sample:
        drafts = [log.Draft(stream="bench", version=next(versions), event=REFUSED) for _ in range(BATCH)]

        def act() -> int:
            with database.transaction() as tx:
                log.append(tx, drafts, actor="bench", recorded_at=tx.now())
            return BATCH

        return timed(act, server_pid=pid)

    return side


def _recorded(options: Options, url: str, pid: int | None) -> Side:
    store = open_store(url)

    def act() -> int:
        for _ in range(options.appends):
            store.record("n_bench", [RANKED])
        return options.appends

    return lambda: timed(act, server_pid=pid)


def _rows() -> Iterator[Row]:
    """Yield rows of one stream, in the order of the columns, without end."""
    data = json.dumps({item.name: getattr(REFUSED, item.name) for item in fields(REFUSED)})
    now = int(time.time() * 1_000_000)
    for seq in count(1):
        yield (
            seq, now.to_bytes(8, "big") + os.urandom(8), "bench", seq, "PlanRejected", 1, now + seq, "bench",
            None, None, None, None, None, None, data, bytes(32),
        )  # fmt: skip


def _insert(mark: str) -> str:
    return f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"


def _raw_sqlite(options: Options, *, guards: bool) -> Callable[[Row], None]:
    connection, sql = _bare_sqlite(options.sqlite_store(), guards=guards), _insert("?")

    def insert(row: Row) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(sql, row)
        connection.execute("COMMIT")

    return insert


def _raw_postgres(cluster: Cluster, *, guards: bool, autocommit: bool) -> Callable[[Row], None]:
    connection = _bare_postgres(cluster.store(), guards=guards, autocommit=autocommit)
    sql = _insert("%s").encode()

    def insert(row: Row) -> None:
        connection.execute(sql, row)
        if not autocommit:
            connection.commit()

    return insert


def _bare_sqlite(url: str, *, guards: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(sqlite_path(url), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if not guards:
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'"
        for (name,) in connection.execute(sql).fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
    return connection


def _bare_postgres(url: str, *, guards: bool, autocommit: bool) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(url, autocommit=True)
    if not guards:
        sql = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'event'::regclass AND NOT tgisinternal"
        for (name,) in connection.execute(sql).fetchall():
            connection.execute(f"DROP TRIGGER {name} ON event".encode())
    connection.autocommit = autocommit
    return connection
