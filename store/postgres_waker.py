"""Waking on Postgres: a connection of its own that listens, asks, and shows that its host lives.

Measured: a notification costs the writer 12 to 57 % of its rate, so only a plan that comes or opens again is
notified, and nothing else pays. While a plan is open its hosts ask for the head of the log instead, which
costs some 50 microseconds a question; without an open plan they only listen.

The connection holds an advisory lock named after its worker. The server lets go of it when the connection
dies: seen by the others, that is the end of the worker long before its lease runs out.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import psycopg

from store.postgres_connection import BoundedConnection, opened
from store.waking import LOOK_SECONDS, REST_SECONDS

CHANNEL = "trainwright"
MISSING_SECONDS = 0.4  # without its lock, until a worker counts as gone: time to connect anew
GRACE_SECONDS = 10.0  # after the server's start, when all come back one by one
CONNECT_AGAIN_SECONDS = 0.5
_HEAD = b"SELECT MAX(seq) FROM event"
_PRESENT = """
SELECT (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_STARTED = "SELECT pg_postmaster_start_time(), clock_timestamp()"
_ALIVE_SINCE = "SELECT worker FROM lease WHERE worker = ANY(%s) AND renewed_at > %s"
_NOW = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"


@dataclass(slots=True)
class _Known:
    """Another worker whose lock was seen; since when it is missing, on our clock and the database's."""

    missing_at: float | None = None
    missing_since: int = 0


class PostgresWaker:
    """Listens for one worker on a connection of its own; used by one thread."""

    def __init__(self, address: str, worker: str) -> None:
        self._address, self._key = address, lock_key(worker)
        self._connection: BoundedConnection | None = None
        self._head: object = None
        self._connect_at = 0.0
        self._known: dict[str, _Known] = {}
        self._server_started: datetime | None = None

    def fileno(self) -> int:
        """Return the connection's descriptor: readable when notified, and when the connection ended."""
        connection = self._connection
        return -1 if connection is None or connection.closed else connection.fileno()

    def patience(self, *, expecting: bool) -> float:
        """Return the seconds after which to ask in any case: few while a plan is open."""
        if self.fileno() < 0:
            return max(0.0, self._connect_at - time.monotonic())
        return LOOK_SECONDS if expecting else REST_SECONDS

    def moved(self) -> bool:
        """Return whether there was a notification or another head; True too when the server went away."""
        if self._is_away():
            return False
        try:
            return self._asked(self._opened())
        except psycopg.Error:
            self._disconnect()
            return True

    def gone(self, workers: Collection[str]) -> frozenset[str]:
        """Return those whose lock was seen and is missing for a while, on a server that was there all along.

        A worker that renewed a lease meanwhile is alive, and only its connection was lost.
        """
        if self._is_away():
            return frozenset()
        try:
            return self._gone(self._opened(), workers)
        except psycopg.Error:
            self._disconnect()
            return frozenset()

    def close(self) -> None:
        """Close the connection; the server lets go of the lock."""
        self._disconnect()

    def _asked(self, connection: BoundedConnection) -> bool:
        head = connection.execute(_HEAD).fetchall()
        notified = bool(list(connection.notifies(timeout=0)))
        before, self._head = self._head, head
        return notified or head != before

    def _gone(self, connection: BoundedConnection, workers: Collection[str]) -> frozenset[str]:
        for worker in set(self._known) - set(workers):
            del self._known[worker]
        if not workers:
            return frozenset()
        present = {int(row[0]) for row in connection.execute(_PRESENT).fetchall()}
        missing = frozenset(worker for worker in workers if self._is_missing(connection, worker, present))
        return missing if missing and self._is_settled(connection) else frozenset()

    def _is_missing(self, connection: BoundedConnection, worker: str, present: Collection[int]) -> bool:
        """Return whether a worker whose lock was seen is without it for long enough, and silent."""
        if lock_key(worker) in present:
            self._known[worker] = _Known()
            return False
        known = self._known.get(worker)
        if known is None:
            return False  # it never had a lock that we saw: only its lease tells
        if known.missing_at is None:
            known.missing_at = time.monotonic()
            known.missing_since = int(connection.execute(_NOW).fetchall()[0][0])
            return False
        if time.monotonic() - known.missing_at < MISSING_SECONDS:
            return False
        return not connection.execute(_ALIVE_SINCE, ([worker], known.missing_since)).fetchall()

    def _is_settled(self, connection: BoundedConnection) -> bool:
        """Return whether the server is the one whose locks we saw, and not just started."""
        started, now = connection.execute(_STARTED).fetchall()[0]
        if started != self._server_started:
            self._server_started = started
            self._known.clear()
            return False
        return bool((now - started).total_seconds() > GRACE_SECONDS)

    def _opened(self) -> BoundedConnection:
        """Return the connection, made anew when it was lost; raises psycopg.Error."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._connect_at = time.monotonic() + CONNECT_AGAIN_SECONDS
        self._disconnect()
        connection = self._connection = opened(self._address, readonly=False, presence=True)
        connection.execute(f"LISTEN {CHANNEL}".encode())
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (self._key,))
        self._server_started = connection.execute(_STARTED).fetchall()[0][0]
        self._connect_at = 0.0
        return connection

    def _is_away(self) -> bool:
        """Return whether the server was not there a moment ago, so that it is not asked again yet."""
        connected = self._connection is not None and not self._connection.closed
        return not connected and time.monotonic() < self._connect_at

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._head = None, None
        self._known.clear()


def lock_key(worker: str) -> int:
    """Return the advisory lock's number of a worker: 63 bits of its name's hash."""
    return int.from_bytes(sha256(f"worker {worker}".encode()).digest()[:8], "big") >> 1
