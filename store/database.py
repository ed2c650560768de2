"""The small face of a database: write transactions one after the other, and read snapshots.

Both engines give the same promise: inside `transaction` this writer is alone, and what it reads is the
latest committed state. SQLite has that by ``BEGIN IMMEDIATE``; Postgres by one advisory lock at READ
COMMITTED. SQL is written with ``?`` for parameters, in the part of the language both engines share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from store.errors import DatabaseUnsafe
from store.waking import Waker

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]


class Tx(Protocol):
    """One open transaction."""

    @property
    def engine(self) -> str:
        """``sqlite`` or ``postgresql``."""

    @property
    def last_answers(self) -> list[list[Row]]:
        """What the statements that went with the commit answered; none where nothing went with it."""

    @property
    def clock(self) -> str:
        """The database's clock as an SQL expression, in microseconds since the epoch, UTC."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows; raises DatabaseUnavailable."""

    def queries(self, asked: Sequence[Statement]) -> list[list[Row]]:
        """Return all rows of several questions, in one round trip; raises DatabaseUnavailable."""

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Yield rows one by one without holding them all."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows and return how many; raises WriteRefused, DatabaseUnavailable."""

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows once per parameter set; raises WriteRefused, DatabaseUnavailable."""

    def now(self) -> int:
        """Return the database's clock in microseconds since the epoch, UTC."""

    def later(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Change rows before the transaction's end, with whatever goes to the server next."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows, however many; raises WriteRefused, DatabaseUnavailable."""

    def update(self, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set columns of the rows found by a key; each row has the columns, then the key."""

    def wake(self) -> None:
        """Wake hosts that wait without asking, with the commit; nothing where they notice by themselves."""


class Database(Protocol):
    """A place for transactions; each thread has its own connection."""

    @property
    def url(self) -> str:
        """The address, without a password."""

    @property
    def engine(self) -> str:
        """``sqlite`` or ``postgresql``."""

    def transaction(self, *, shared: bool = False) -> AbstractContextManager[Tx]:
        """Open a write transaction: alone, durable when it ends, undone when it raises.

        Postgres lets writers that are `shared` work side by side until they append.
        """

    def aside(self) -> AbstractContextManager[Tx]:
        """Open a short write transaction outside the order of the log, for what nobody must be sure of.

        It waits for no writer of the log where the engine allows that, and need not be durable.
        """

    def snapshot(self) -> AbstractContextManager[Tx]:
        """Open a read transaction: one unchanging state."""

    def waker(self, worker: str) -> Waker:
        """Return what tells a worker's host that something was recorded; for one thread."""

    def close(self) -> None:
        """Close this thread's connection."""


@lru_cache
def insert_sql(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts one row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


@lru_cache
def update_sql(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """Return the statement that sets columns of the row of a key; parameters: the columns, then the key."""
    changes = ", ".join(f"{name} = ?" for name in columns)
    return f"UPDATE {table} SET {changes} WHERE {' AND '.join(f'{name} = ?' for name in key)}"


def is_memory(url: str) -> bool:
    """Return whether a database address names this process's memory, which keeps nothing."""
    return url.partition(":")[0] == "memory"


def is_sqlite(url: str) -> bool:
    """Return whether an address names a file of SQLite; raises DatabaseUnsafe for an unknown scheme."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return True
    if scheme in ("postgresql", "postgres", "memory"):
        return False
    raise DatabaseUnsafe(
        url=url,
        sentence=f"the scheme {scheme!r} is not known",
        fix="Use sqlite:///PATH or postgresql://USER@HOST/NAME",
    )


def sqlite_path(url: str) -> Path:
    """Return the file of a ``sqlite:///PATH`` address; raises DatabaseUnsafe when there is none."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":memory:"):
        raise DatabaseUnsafe(url=url, sentence="it names no file", fix="Use sqlite:///PATH")
    return Path(path)


def connect(url: str, *, readonly: bool = False) -> Database:
    """Return the database at an address; the driver of Postgres loads only for Postgres."""
    if is_sqlite(url):
        home = import_module("store.sqlite_database")
        return _typed(home.SqliteDatabase(url, readonly=readonly))
    if is_memory(url):
        home = import_module("store.memory_database")
        return _typed(home.MemoryDatabase(url, readonly=readonly))
    try:
        home = import_module("store.postgres_database")
    except ImportError as error:
        raise DatabaseUnsafe(
            url=url.partition("@")[2] or url,
            sentence="the library psycopg is not installed",
            fix="Install it with: pip install 'trainwright[postgres]'",
        ) from error
    return _typed(home.PostgresDatabase(url, readonly=readonly))


def _typed(database: Database) -> Database:
    """Return the database under the type of its face."""
    return database
