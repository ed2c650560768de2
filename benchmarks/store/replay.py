"""Replay of a million events into the read models, against a raw read that decodes the same payloads.

The floor reads, in the log's order, the eleven columns that a fold needs and decodes each payload into a dict
with msgspec, the fastest decoder in Python; it folds nothing. On Postgres it reads with a binary server-side
cursor, the fastest read of psycopg that does not hold the whole log. Ours is once the fold of the whole log
in memory (what `verify` compares with), once `PlanStore.rebuild`: the fold, and every table written anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import msgspec
import psycopg

from benchmarks.store.ballast import add_finished
from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, Side, compare, ratio_figure, say, timed
from benchmarks.store.options import Options
from store import open_store
from store.database import connect, sqlite_path
from store.rebuilding import fold_log

EVENTS_PER_FIT = 3.5
_RAW = (
    "SELECT seq, stream, version, kind, schema_version, recorded_at, actor, plan, job, fit, attempt, "
    "CAST(data AS TEXT) FROM event ORDER BY seq"
)


def replay_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of both engines."""
    for engine in ("SQLite", "Postgres"):
        pid = cluster.pid if engine == "Postgres" else None
        url = cluster.store() if engine == "Postgres" else options.sqlite_store()
        say(f"filling {engine} with {options.replayed_events:,} events")
        events = add_finished(url, fits=round(options.replayed_events / EVENTS_PER_FIT), started=True)
        read = raw_postgres if engine == "Postgres" else raw_sqlite
        sides: dict[str, Side] = {
            "raw read": _side(lambda url=url, read=read: read(url), pid),  # type: ignore[misc]
            "fold in memory": _side(lambda url=url: folded(url), pid),  # type: ignore[misc]
            "rebuild": _side(lambda url=url: rebuilt(url), pid),  # type: ignore[misc]
        }
        found = compare(sides, rounds=2)
        what = f"replay of {events:,} events, {engine}"
        yield ratio_figure(f"{what}, in memory", found, floor="raw read", ours="fold in memory", bar=0.3)
        yield ratio_figure(f"{what}, tables written", found, floor="raw read", ours="rebuild", bar=0.3)


def _side(act: Callable[[], int], pid: int | None) -> Side:
    return lambda: timed(act, server_pid=pid)


def raw_sqlite(url: str) -> int:
    """Read and decode every event of a file and return how many there are."""
    decode, count = msgspec.json.Decoder(dict).decode, 0
    connection = sqlite3.connect(sqlite_path(url))
    for row in connection.execute(_RAW):
        decode(row[11])
        count += 1
    connection.close()
    return count


def raw_postgres(url: str) -> int:
    """Read and decode every event of a server and return how many there are."""
    decode, count = msgspec.json.Decoder(dict).decode, 0
    with psycopg.connect(url) as server, server.cursor(name="raw", binary=True) as cursor:
        cursor.itersize = 20_000
        cursor.execute(_RAW.encode())
        for row in cursor:
            decode(row[11])
            count += 1
    return count


def folded(url: str) -> int:
    """Fold the whole log in memory and return how many events it has."""
    database = connect(url, readonly=True)
    with database.snapshot() as tx:
        _, count = fold_log(tx)
    database.close()
    return count


def rebuilt(url: str) -> int:
    """Write all projections anew and return how many events there are."""
    with open_store(url) as store:
        return store.rebuild()
