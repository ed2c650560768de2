"""A database in this process's memory, behind the same face: for notebooks and tests. It is not durable.

It is SQLite without a file (https://sqlite.org/inmemorydb.html): the same statements, guards and order of
events, and nothing left of any of it when the process ends or the last store on it is gone. It grows as
far as there is memory for it, some three KiB a fit with all its events; beyond a few hundred MiB a file on a
disk that is memory is the faster one. Addresses:

    memory:         a database of its own for each one that opens it
    memory:NAME     one database for all in this process who say the name, while any of them has it open
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakValueDictionary

from store.errors import DatabaseUnavailable
from store.schema import upgrade
from store.sqlite_database import STATEMENTS_KEPT, SqliteTx
from store.waking import HeadWaker, Waker

SCHEME = "memory:"


class Memory:
    """One SQLite database in memory, its one connection, and the lock that keeps its users apart."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection = _loaded(empty())

    def load(self, state: bytes) -> None:
        """Replace everything. The connection is a new one: the old one's prepared statements would stay."""
        self.connection.close()
        self.connection = _loaded(state)


class MemoryDatabase:
    """A database in memory with all tables; threads take turns, and other processes cannot see it."""

    engine = "sqlite"

    def __init__(self, url: str = SCHEME, *, readonly: bool = False) -> None:
        self.url = url
        self.memory = _shared(url.removeprefix(SCHEME))
        self._readonly = readonly

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[SqliteTx]:  # noqa: ARG002 - one at a time
        """Open a write transaction; raises DatabaseUnavailable inside another one of this thread."""
        with self._begun("BEGIN IMMEDIATE") as tx:
            yield tx

    @contextmanager
    def aside(self) -> Iterator[SqliteTx]:
        """Open a write transaction, as any other here."""
        with self.transaction() as tx:
            yield tx

    @contextmanager
    def snapshot(self) -> Iterator[SqliteTx]:
        """Open a read transaction; writers wait for its end. Raises DatabaseUnavailable."""
        with self._begun("BEGIN") as tx:
            yield tx

    def close(self) -> None:
        """Keep what is there: it goes with the last database object of its name."""

    def waker(self, worker: str) -> Waker:  # noqa: ARG002 - there is only this process
        """Return what asks for the head again and again."""
        return HeadWaker(self._head_seq)

    def serialize(self) -> bytes:
        """Return all of it as the bytes of a SQLite file; raises DatabaseUnavailable inside a transaction."""
        with self.memory.lock:
            self._require_idle()
            return self.memory.connection.serialize()

    def deserialize(self, state: bytes) -> None:
        """Go back to what `serialize` returned; raises DatabaseUnavailable inside a transaction."""
        with self.memory.lock:
            self._require_idle()
            self.memory.load(state)

    @contextmanager
    def _begun(self, begin: str) -> Iterator[SqliteTx]:
        connection = self.memory.connection
        with self.memory.lock:
            self._require_idle()
            if self._readonly:
                connection.execute("PRAGMA query_only = ON")
            try:
                connection.execute(begin)
                yield SqliteTx(connection, self.url)
                connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise DatabaseUnavailable(url=self.url, cause=str(error)) from error
                raise
            finally:
                if self._readonly:
                    connection.execute("PRAGMA query_only = OFF")

    def _head_seq(self) -> int:
        with self.snapshot() as tx:
            return int(tx.query("SELECT COALESCE(MAX(seq), 0) FROM event")[0][0])

    def _require_idle(self) -> None:
        if self.memory.connection.in_transaction:
            raise DatabaseUnavailable(url=self.url, cause="this thread has a transaction open already")


def _loaded(state: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT
    )
    # Not deserialized itself: such a connection holds 1 GiB, and one more event is "database or disk is full"
    # (SQLITE_MEMDB_DEFAULT_MAXSIZE, https://sqlite.org/c3ref/deserialize.html). One copied into has no end.
    with closing(sqlite3.connect(":memory:")) as source:
        source.deserialize(state)
        source.backup(connection)
    for pragma in ("foreign_keys = ON", "recursive_triggers = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


_NAMED: WeakValueDictionary[str, Memory] = WeakValueDictionary()
_NAMING = threading.Lock()


def _shared(name: str) -> Memory:
    """Return the memory of a name, made now if nobody has it; of no name, a new one each time."""
    if not name:
        return Memory()
    with _NAMING:
        memory = _NAMED.get(name)
        if memory is None:
            memory = _NAMED[name] = Memory()
        return memory


@lru_cache(maxsize=1)
def empty() -> bytes:
    """Return a database with all tables and nothing in them, as the migrations make it; once per process."""
    with TemporaryDirectory(prefix="trainwright-") as folder:
        path = Path(folder) / "empty.db"
        upgrade(f"sqlite:///{path}")
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = DELETE")  # a database in memory has no write-ahead log
        made = connection.serialize()
        connection.close()
    return made
