"""A store with a long past: one plan is worked for real, then its rows are copied by the database itself.

Events, jobs and fits of the copies come from ``INSERT … SELECT`` over a generated series: the same columns,
payloads and states as the real ones, with identities of their own (the payloads' too), in an order that a
fold accepts. The guards are off meanwhile and on afterwards. The hash chain is not continued over the copies
and their ordinals are not in their payloads, so such a database is for measuring, not for `verify`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from benchmarks.store.plans import DONE, plan_of
from store import PlanStore, open_store
from store.database import is_sqlite, sqlite_path
from store.events import FitStarted
from store.layout import COLUMNS
from store.projections import columns_of
from store.state import FitState, JobState

STARTED = FitStarted(pid=42, device_requested="cpu", device_used="cpu", log="logs/fit.log")
Connection = sqlite3.Connection | psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The one plan that was worked: one job and its fits."""

    plan: str
    job: str
    fits: tuple[str, ...]
    head: int
    version: int  # of the plan's stream


def add_finished(url: str, *, fits: int, started: bool = False) -> int:
    """Add so many finished fits, ten to a job, and return the events there are now.

    Two events each (three if `started`), and one event for each job.
    """
    families = 10 if not started else 2
    with open_store(url) as store:
        pattern = _worked(store, families, started=started)
    copies = max(1, fits // families)
    with _unguarded(url) as (connection, series):
        _copy_events(connection, series, pattern, copies)
        _copy_rows(connection, series, pattern, copies)
    return pattern.head + copies * (1 + families * (3 if started else 2))


def _worked(store: PlanStore, families: int, *, started: bool) -> Pattern:
    """Accept a plan of one job and end its fits."""
    plan = plan_of(1, families=families)
    store.accept(plan, source="bench", name="ballast")
    while claims := store.claim("bench", stage="cpu", plans=[plan.id]):
        if started:
            store.started(claims[0], STARTED)
        store.succeeded(claims[0], DONE)
    version = max(event.version for event in store.events(plan=plan.id) if event.fit is None)
    fits = tuple(fit.id for fit in plan.fits)
    return Pattern(plan=plan.id, job=plan.jobs[0].id, fits=fits, head=store.head_seq(), version=version)


def _copy_events(connection: Connection, series: str, pattern: Pattern, copies: int) -> None:
    """Copy the planning of the job, then everything that happened to its fits, so many times."""
    job = f"'{pattern.job}-' || s.n"
    data = _copied_text("CAST(e.data AS TEXT)", (pattern.job, *pattern.fits))
    planned = {
        "seq": f"{pattern.head} + s.n",
        "event_id": _blob(f"{pattern.head} + s.n", connection),
        "version": f"{pattern.version} + s.n",
        "job": job,
        "data": _payload(data, connection),
    }
    _insert(connection, "event", COLUMNS, planned, series, copies, "e.kind = 'JobPlanned'", pattern.plan)
    per_job = _count(connection, pattern)
    after = pattern.head + copies
    place = f"(s.n - 1) * {per_job} + e.nth"
    told = {
        "seq": f"{after} + {place}",
        "event_id": _blob(f"{after} + {place}", connection),
        "stream": "e.stream || '-' || s.n",
        "job": job,
        "fit": "e.fit || '-' || s.n",
        "data": _payload("CAST(e.data AS TEXT)", connection),
    }
    _insert(connection, "event", COLUMNS, told, series, copies, "e.fit IS NOT NULL", pattern.plan)


def _copy_rows(connection: Connection, series: str, pattern: Pattern, copies: int) -> None:
    """Copy the projections of the job and of its fits, and count them in the plan."""
    job = {"job_id": "e.job_id || '-' || s.n", "ordinal": "e.ordinal + s.n"}
    _insert(connection, "job", columns_of(JobState), job, series, copies, "1 = 1", pattern.plan)
    fit = {
        "fit_id": "e.fit_id || '-' || s.n",
        "job_id": "e.job_id || '-' || s.n",
        "ordinal": f"e.ordinal + s.n * {len(pattern.fits)}",
    }
    _insert(connection, "fit", columns_of(FitState), fit, series, copies, "1 = 1", pattern.plan)
    for column, amount in (
        ("jobs", copies),
        ("fits", copies * len(pattern.fits)),
        ("succeeded", copies * len(pattern.fits)),
        ("version", copies),
    ):
        sql = f"UPDATE plan SET {column} = {column} + {amount} WHERE plan_id = '{pattern.plan}'"
        connection.execute(_statement(sql, connection))  # type: ignore[arg-type]  # text or bytes, as it takes


def _insert(
    connection: Connection,
    name: str,
    columns: Sequence[str],
    changed: Mapping[str, str],
    series: str,
    copies: int,
    condition: str,
    plan: str,
) -> None:
    """Insert the rows of the worked plan so many times, with some columns changed."""
    key = "plan" if name == "event" else "plan_id"
    order = "seq" if name == "event" else "ordinal"
    values = ", ".join(changed.get(column, f"e.{column}") for column in columns)
    source = (
        f"(SELECT *, ROW_NUMBER() OVER (ORDER BY {order}) AS nth FROM {name} AS e "
        f"WHERE {key} = '{plan}' AND {condition})"
    )
    sql = (
        f"INSERT INTO {name} ({', '.join(columns)}) WITH {series.format(copies=copies)} "
        f"SELECT {values} FROM s CROSS JOIN {source} AS e ORDER BY s.n, e.nth"
    )
    connection.execute(_statement(sql, connection))  # type: ignore[arg-type]  # text or bytes, as it takes


def _statement(sql: str, connection: Connection) -> str | bytes:
    return sql if isinstance(connection, sqlite3.Connection) else sql.encode()


def _copied_text(text: str, names: Sequence[str]) -> str:
    """Return an expression in which each name of a payload has the copy's number behind it."""
    for name in names:
        text = f"replace({text}, '\"{name}\"', '\"{name}-' || s.n || '\"')"
    return text


def _payload(text: str, connection: Connection) -> str:
    return text if isinstance(connection, sqlite3.Connection) else f"CAST({text} AS json)"


def _blob(number: str, connection: Connection) -> str:
    """Return an expression for sixteen bytes that are new for each number and grow with it."""
    if isinstance(connection, sqlite3.Connection):
        return f"CAST(printf('%016d', {number}) AS BLOB)"
    return f"decode(lpad(to_hex({number}), 32, '0'), 'hex')"


def _count(connection: Connection, pattern: Pattern) -> int:
    sql = f"SELECT COUNT(*) FROM event WHERE plan = '{pattern.plan}' AND fit IS NOT NULL"
    found = connection.execute(_statement(sql, connection)).fetchone()  # type: ignore[arg-type]
    return int(str(found[0])) if found else 0


@contextmanager
def _unguarded(url: str) -> Iterator[tuple[Connection, str]]:
    """Yield a connection past the guards and the text of a series of numbers; put the guards back."""
    if is_sqlite(url):
        file = sqlite3.connect(sqlite_path(url), isolation_level=None)
        file.execute("PRAGMA synchronous = OFF")
        file.execute("PRAGMA cache_size = -400000")
        sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'"
        guards = file.execute(sql).fetchall()
        file.execute("BEGIN")
        for name, _ in guards:
            file.execute(f"DROP TRIGGER {name}")
        yield file, "RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {copies})"
        for _, guard in guards:
            file.execute(guard)
        file.execute("COMMIT")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.close()
        return
    with psycopg.connect(url) as server:
        sql = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'event'::regclass AND NOT tgisinternal"
        names = [row[0] for row in server.execute(sql)]
        server.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        yield server, "s(n) AS (SELECT CAST(generate_series(1, {copies}) AS bigint))"
        for name in names:
            server.execute(f"ALTER TABLE event ENABLE ALWAYS TRIGGER {name}".encode())
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("VACUUM (ANALYZE)")
        server.execute("CHECKPOINT")
