"""The store as it was: the log folded in memory up to a moment, behind the same reader.

Nothing of it is kept. What was leased then is known from the log, until when it was not.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from store.database import Database, connect
from store.errors import NotFound, WriteRefused
from store.folding import fold
from store.layout import COLUMNS, SELECT_EVENT
from store.log import recorded_of
from store.moments import iso_utc, microseconds_of, moment_of
from store.projections import MemoryRows, columns_of, row_of
from store.reading import Reader
from store.revision import require_schema
from store.sqlite_database import SqliteTx
from store.state import LEASED_STATES, STATE_TYPES, FitState
from store.waking import HeadWaker, Waker

LEASE_COLUMNS = ("fit_id", "fence", "worker", "renewed_at", "expires_at")
BEAT_COLUMNS = ("host", "worker", "at", "running", "trouble")  # nobody kept who was there then
# Of the events only those that say what the states do not: attempts, losses, holds, pauses, hosts.
KEPT = (
    "FitClaimed", "FitStarted", "FitFailed", "FitReleased", "LeaseExpired", "FitHeld", "WorkPaused",
    "WorkResumed", "DaemonStarted", "DaemonStopped",
)  # fmt: skip
_BEFORE = "(SELECT MAX(seq) FROM event WHERE recorded_at <= ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A reader of the store as it stood behind an event: its number and when it was recorded."""

    reader: Reader
    seq: int
    at: datetime


class PastTx(SqliteTx):
    """A look at the past, at its own moment."""

    def __init__(self, connection: sqlite3.Connection, url: str, moment: int) -> None:
        super().__init__(connection, url)
        self._moment = moment

    def now(self) -> int:
        """Return the moment that is looked at, in microseconds since the epoch, UTC."""
        return self._moment


class PastDatabase:
    """The states and the kept events in memory; nothing can be written."""

    engine = "sqlite"

    def __init__(self, url: str, connection: sqlite3.Connection, moment: int) -> None:
        self.url, self._connection, self._moment = url, connection, moment
        self._turns = threading.RLock()  # one connection for all threads: the memory is its own

    def transaction(self, *, shared: bool = False) -> AbstractContextManager[PastTx]:  # noqa: ARG002
        """Raise WriteRefused: the past does not change."""
        raise WriteRefused(url=self.url, cause="the past is only read")

    def aside(self) -> AbstractContextManager[PastTx]:
        """Raise WriteRefused: the past does not change."""
        raise WriteRefused(url=self.url, cause="the past is only read")

    @contextmanager
    def snapshot(self) -> Iterator[PastTx]:
        """Open a look; it is the same each time."""
        with self._turns:
            yield self._look()

    def waker(self, worker: str) -> Waker:  # noqa: ARG002 - nothing happens any more
        """Return what never tells anything."""
        return HeadWaker(lambda: 0)

    def close(self) -> None:
        """Let go of all of it."""
        self._connection.close()

    def _look(self) -> PastTx:
        return PastTx(self._connection, self.url, self._moment)


def past(url: str, moment: datetime) -> Past:
    """Fold the log up to a moment and return a reader of what it was; raises NotFound before its first event.

    It takes as long as a rebuild of the log's part before that moment.
    """
    found = _folded(url, _BEFORE, microseconds_of(moment), at=microseconds_of(moment))
    if found is None:
        raise NotFound(noun="event before", name=iso_utc(moment))
    return found


def past_at_seq(url: str, seq: int) -> Past:
    """Fold the log up to an event and return a reader of what it was; raises NotFound before the first."""
    found = _folded(url, "?", seq)
    if found is None:
        raise NotFound(noun="event", name=str(seq))
    return found


def _folded(url: str, bound: str, value: int, *, at: int | None = None) -> Past | None:
    """Fold the events up to a bound; None where there is none. The look is from `at`, or the last of them."""
    database = connect(url, readonly=True)
    require_schema(database)
    rows, connection = MemoryRows(), _tables()
    try:
        seq, last_at = _read(database, rows, connection, bound, value)
    finally:
        database.close()
    if not seq:
        connection.close()
        return None
    _fill(connection, rows)
    past_database: Database = PastDatabase(database.url, connection, last_at if at is None else at)
    return Past(reader=Reader(past_database), seq=seq, at=moment_of(last_at))


def _read(
    database: Database, rows: MemoryRows, connection: sqlite3.Connection, bound: str, value: int
) -> tuple[int, int]:
    """Fold all events up to a bound, keep some, and return the last one's number and time."""
    insert, seq, at = _insert("event", COLUMNS), 0, 0
    with database.snapshot() as tx:
        for row in tx.stream(f"{SELECT_EVENT} WHERE seq <= {bound} ORDER BY seq", (value,)):
            recorded = recorded_of(row)
            fold(rows, recorded)
            seq, at = recorded.seq, recorded.recorded_at
            if row[4] in KEPT:
                connection.execute(
                    insert, [bytes(cell) if isinstance(cell, memoryview) else cell for cell in row]
                )
    return seq, at


def _tables() -> sqlite3.Connection:
    """Return a database in memory with the tables that readers ask, without any type or rule."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for name, columns in (
        ("event", COLUMNS),
        ("lease", LEASE_COLUMNS),
        ("beat", BEAT_COLUMNS),
        *((kind.TABLE, columns_of(kind)) for kind in STATE_TYPES),
    ):
        connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    connection.execute("CREATE UNIQUE INDEX event_of_stream ON event (stream, version)")
    connection.execute("CREATE UNIQUE INDEX fit_by_id ON fit (fit_id)")
    connection.execute("CREATE INDEX fit_of_plan ON fit (plan_order, ordinal)")
    return connection


def _fill(connection: sqlite3.Connection, rows: MemoryRows) -> None:
    for kind in STATE_TYPES:
        states = [row_of(state) for state in rows.of(kind).values()]
        connection.executemany(_insert(kind.TABLE, columns_of(kind)), states)
    fits = [state for state in rows.of(FitState).values() if isinstance(state, FitState)]
    leased = [fit for fit in fits if fit.state in LEASED_STATES]
    leases = [(fit.fit_id, fit.fence, fit.worker, fit.claimed_at, None) for fit in leased]
    connection.executemany(_insert("lease", LEASE_COLUMNS), leases)


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
