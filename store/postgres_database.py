"""Postgres behind the database face: psycopg, one connection per thread, writers one after the other.

An identity column plus ``seq > cursor`` loses events silently, because numbers are given before commits.
So every write transaction takes one advisory lock first: numbers are then given in the order of commits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from store.addresses import without_password
from store.database import Row
from store.errors import DatabaseUnavailable, DatabaseUnsafe, WriteRefused
from store.postgres_connection import opened

LOG_LOCK = 0x7472_6169_6E77  # "trainw"
NOW_SQL = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"


@lru_cache(maxsize=1024)
def _dialect(sql: str) -> bytes:
    """Return the statement in psycopg's own placeholders."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


class PostgresTx:
    """One open Postgres transaction."""

    engine = "postgresql"

    def __init__(self, connection: psycopg.Connection[Row], url: str) -> None:
        self._connection = connection
        self._url = url

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows; raises DatabaseUnavailable."""
        with _translated(self._url):
            return self._connection.execute(_dialect(sql), parameters).fetchall()

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Yield rows one by one through a server-side cursor; raises DatabaseUnavailable."""
        with _translated(self._url), self._connection.cursor(name="reading") as cursor:
            cursor.itersize = 5000
            cursor.execute(_dialect(sql), parameters)
            yield from cursor

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows and return how many; raises WriteRefused, DatabaseUnavailable."""
        with _translated(self._url):
            return self._connection.execute(_dialect(sql), parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows once per parameter set; raises WriteRefused, DatabaseUnavailable."""
        with _translated(self._url), self._connection.cursor() as cursor:
            cursor.executemany(_dialect(sql), rows)

    def now(self) -> int:
        """Return the clock in microseconds since the epoch, UTC; it moves inside a transaction."""
        return int(self.query(NOW_SQL)[0][0])


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
    def transaction(self) -> Iterator[PostgresTx]:
        """Open a write transaction behind the log's lock; raises DatabaseUnavailable."""
        with self._begun("BEGIN ISOLATION LEVEL READ COMMITTED") as tx:
            tx.query("SELECT pg_advisory_xact_lock(?)", (LOG_LOCK,))
            yield tx

    @contextmanager
    def snapshot(self) -> Iterator[PostgresTx]:
        """Open a read transaction over one unchanging state; raises DatabaseUnavailable."""
        with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as tx:
            yield tx

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None and self._local.pid == os.getpid():
            connection.close()
        self._local.connection = None

    @contextmanager
    def _begun(self, begin: str) -> Iterator[PostgresTx]:
        connection = self._connection()
        try:
            with _translated(self.url):
                connection.execute(begin.encode())
            yield PostgresTx(connection, self.url)
            with _translated(self.url):
                connection.execute(b"COMMIT")
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


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the driver's errors into the store's."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.errors.RaiseException) as error:
        raise WriteRefused(url=url, cause=str(error).splitlines()[0]) from error
    except psycopg.Error as error:
        raise DatabaseUnavailable(url=url, cause=str(error).strip() or type(error).__name__) from error
