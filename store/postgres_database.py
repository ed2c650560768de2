"""Postgres behind the database face: psycopg, one connection per thread, writers one after the other.

An identity column plus ``seq > cursor`` loses events silently, because numbers are given before commits.
So every write transaction takes one advisory lock first: numbers are then given in the order of commits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from store.addresses import without_password
from store.database import Row, Statement, update_sql
from store.errors import DatabaseUnavailable, DatabaseUnsafe, NotAlone, WriteRefused
from store.postgres_connection import opened
from store.postgres_waker import CHANNEL, PostgresWaker

LOG_LOCK = 0x7472_6169_6E77  # "trainw"
NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"
LAST_FIT = "TW001"  # raised by plan_count
FEW_ROWS = 20  # of an INSERT that travels with the commit; more go by COPY
_JSON = msgspec.json.Encoder()
_TYPES: dict[str, Mapping[str, str]] = {}


@lru_cache(maxsize=1024)
def _dialect(sql: str) -> bytes:
    """Return the statement in psycopg's own placeholders."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


class PostgresTx:
    """One open Postgres transaction, in as few round trips as its questions allow.

    Its beginning goes with the first question and its end with the last changes. Statements that travel
    together have their values written into them by the driver (`psycopg.ClientCursor`): measured, two such
    trips take half the time and two thirds of the processor time of nine prepared statements, one a trip.
    """

    engine = "postgresql"
    clock = NOW

    def __init__(self, connection: psycopg.Connection[Row], url: str, *beginning: Statement) -> None:
        self._connection = connection
        self._url = url
        self._waiting: list[Statement] = list(beginning)
        self._sent_last = 0
        self._cursor = psycopg.ClientCursor(connection)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows; raises DatabaseUnavailable."""
        return self.queries([(sql, parameters)])[0]

    def queries(self, asked: Sequence[Statement]) -> list[list[Row]]:
        """Return all rows of several questions, asked in one round trip; raises DatabaseUnavailable."""
        before = self._send(asked)
        return [rows for rows, _ in self._results(before, len(asked))]

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Yield rows one by one through a server-side cursor; raises DatabaseUnavailable."""
        self._send()
        with _translated(self._url), self._connection.cursor(name="reading") as cursor:
            cursor.itersize = 5000
            cursor.execute(_dialect(sql), parameters)
            yield from cursor

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows and return how many; raises WriteRefused, DatabaseUnavailable."""
        before = self._send([(sql, parameters)])
        return self._results(before, 1)[0][1]

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows once per parameter set; raises WriteRefused, DatabaseUnavailable."""
        self._send()
        with _translated(self._url), self._connection.cursor() as cursor:
            cursor.executemany(_dialect(sql), rows)

    def later(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Change rows with the commit, or before the next question."""
        self._waiting.append((sql, parameters))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows: a few with the commit, many by COPY; raises WriteRefused, DatabaseUnavailable."""
        if len(rows) <= FEW_ROWS:
            marks = f"({', '.join('?' * len(columns))})"
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * len(rows))}"
            self.later(sql, [value for row in rows for value in row])
            return
        self._send()
        types = _types_of(self._connection, table)
        sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        with _translated(self._url), self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            copy.set_types([types[name] for name in columns])
            for row in rows:
                copy.write_row(row)

    def update(self, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set columns of the rows found by a key, with the commit; the key must be unique."""
        width = len(columns)
        if len(rows) == 1:
            self.later(update_sql(table, tuple(key), tuple(columns)), rows[0])
        elif len(key) == 1 and all(row[:width] == rows[0][:width] for row in rows):  # a batch of claims
            marks = ", ".join("?" * len(rows))
            changes = ", ".join(f"{name} = ?" for name in columns)
            parameters = [*rows[0][:width], *(row[width] for row in rows)]
            self.later(f"UPDATE {table} SET {changes} WHERE {key[0]} IN ({marks})", parameters)
        else:
            self.later(*self._updates(table, key, columns, rows))

    def _updates(
        self, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> Statement:
        """Return the statement that sets columns of many rows, their values in one JSON text."""
        names, types = (*columns, *key), _types_of(self._connection, table)
        values = _JSON.encode([dict(zip(names, row, strict=True)) for row in rows]).decode()
        given = ", ".join(f"{name} {types[name]}" for name in names)
        changes = ", ".join(f"{name} = v.{name}" for name in columns)
        same = " AND ".join(f"t.{name} = v.{name}" for name in key)
        records = f"json_to_recordset(?) AS v({given})"
        return f"UPDATE {table} AS t SET {changes} FROM {records} WHERE {same}", (values,)

    def wake(self) -> None:
        """Notify the hosts that listen, with the commit."""
        self.later(f"NOTIFY {CHANNEL}")

    def now(self) -> int:
        """Return the clock in microseconds since the epoch, UTC; it moves inside a transaction."""
        return int(self.query(f"SELECT {NOW}")[0][0])

    def commit(self) -> None:
        """Write what waits, and commit; raises WriteRefused, DatabaseUnavailable, NotAlone."""
        self._sent_last = self._send([("COMMIT", ())])

    @property
    def last_answers(self) -> list[list[Row]]:
        """What the statements that went with the commit answered, the commit itself last; asked for once."""
        return [rows for rows, _ in self._results(0, self._sent_last + 1)]

    def _send(self, last: Sequence[Statement] = ()) -> int:
        """Send what waits, and these statements, in one round trip; return how many waited."""
        statements = [*self._waiting, *last]
        if statements:
            self._waiting.clear()
            try:
                self._cursor.execute(
                    b";".join([_dialect(sql) for sql, _ in statements]),
                    [value for _, parameters in statements for value in parameters],
                )
            except psycopg.Error as error:
                raise translated(error, self._url) from error
        return len(statements) - len(last)

    def _results(self, skipped: int, wanted: int) -> list[tuple[list[Row], int]]:
        """Return the rows and the count of rows of each statement of the last trip, but for the first few."""
        cursor, found = self._cursor, []
        for place in range(skipped + wanted):
            if place:
                cursor.nextset()
            if place >= skipped:
                result = cursor.pgresult  # its description would be made anew for each statement
                rows = cursor.fetchall() if result is not None and result.nfields else []
                found.append((rows, cursor.rowcount))
        return found


def _types_of(connection: psycopg.Connection[Row], table: str) -> Mapping[str, str]:
    """Return the types of a table's columns for a binary COPY; JSON goes as the text it is."""
    known = _TYPES.get(table)
    if known is None:
        sql = (
            "SELECT attname, CASE atttypid WHEN 'json'::regtype THEN 'text' ELSE atttypid::regtype::text END "
            "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        )
        known = _TYPES[table] = dict(connection.execute(sql, (table,)).fetchall())
    return known


class PostgresDatabase:
    """A Postgres database; readonly sessions refuse to write."""

    engine = "postgresql"

    def __init__(self, url: str, *, readonly: bool = False) -> None:
        _require_plain_address(url)
        self.url = without_password(url)
        self._address = url
        self._readonly = readonly
        self._local = threading.local()

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[PostgresTx]:
        """Open a write transaction behind the log's lock; raises DatabaseUnavailable.

        With `shared`, others that share it go on beside it: who writes must lock the rows it changes, and
        must let `event_append`, as the last statement, number its events.
        """
        lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        turn = (f"SELECT {lock}(?)", (LOG_LOCK,))
        with self._begun(("BEGIN ISOLATION LEVEL READ COMMITTED", ()), turn) as tx:
            yield tx

    @contextmanager
    def aside(self) -> Iterator[PostgresTx]:
        """Open a write transaction that takes no lock on the log and waits for no disk."""
        lightly = ("SET LOCAL synchronous_commit = off", ())
        with self._begun(("BEGIN ISOLATION LEVEL READ COMMITTED", ()), lightly) as tx:
            yield tx

    @contextmanager
    def snapshot(self) -> Iterator[PostgresTx]:
        """Open a read transaction over one unchanging state; raises DatabaseUnavailable."""
        with self._begun(("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())) as tx:
            yield tx

    def waker(self, worker: str) -> PostgresWaker:
        """Return what listens for a worker on a connection of its own."""
        return PostgresWaker(self._address, worker)

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None and self._local.pid == os.getpid():
            connection.close()
        self._local.connection = None

    @contextmanager
    def _begun(self, *beginning: Statement) -> Iterator[PostgresTx]:
        connection = self._connection()
        try:
            tx = PostgresTx(connection, self.url, *beginning)
            yield tx
            tx.commit()
        except BaseException:
            try:
                connection.execute(b"ROLLBACK")
            except psycopg.Error:  # broken, or, not noticed by the driver, in the middle of an exchange
                self.close()  # the next transaction connects anew
            raise

    def _connection(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed or self._local.pid != os.getpid():
            with _translated(self.url):
                connection = opened(self._address, readonly=self._readonly)
            self._local.connection = connection
            self._local.pid = os.getpid()
        return connection


def _require_plain_address(url: str) -> None:
    """Raise DatabaseUnsafe for an address whose complaint by libpq would show parts of the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {"port": "unreadable"}
    host, ports = str(parts.get("host") or ""), str(parts.get("port") or "").split(",")
    if not all(port.isdigit() or not port for port in ports) or ("@" in host and host[:1] not in "/@"):
        raise DatabaseUnsafe(
            url=url,
            sentence="the address cannot be read",
            fix="Write special characters of the password percent-encoded, such as %40 for @",
        )


def translated(
    error: psycopg.Error, url: str
) -> WriteRefused | DatabaseUnavailable | DatabaseUnsafe | NotAlone:
    """Return the store's error for one of the driver's."""
    if error.sqlstate == LAST_FIT:
        return NotAlone(str(error))
    if isinstance(error, psycopg.IntegrityError | psycopg.errors.RaiseException):
        return WriteRefused(url=url, cause=str(error).splitlines()[0])
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DatabaseUnsafe(
            url=url,
            sentence=f"its role may not do this: {str(error).splitlines()[0]}",
            fix="Use the address of a role that may; trainwright db roles says which there are",
        )
    return DatabaseUnavailable(url=url, cause=str(error).strip() or type(error).__name__)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the driver's errors into the store's."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error, url) from error
