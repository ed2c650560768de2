"""The daemon's place on Postgres: an advisory lock of a connection that does nothing else.

A killed daemon's connection ends with it, and the server lets go at once. Of a machine that lost its power
the server hears nothing; it gives up the connection after some seconds of silence, so whoever comes back
waits that long. A connection that was cut is made again, and the lock taken again, unless somebody else was
quicker.
"""

from __future__ import annotations

import time
from hashlib import sha256

import psycopg

from store.errors import DatabaseUnavailable, HostTaken
from store.postgres_connection import BoundedConnection, opened
from store.residence import DUTY_SECONDS

LOOK_SECONDS = 5.0  # between two looks whether the connection still is
_NAME_BYTES = 63  # of an application_name
_HOLDER = """
SELECT a.application_name, a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
AND (CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint) = %s
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class PostgresResidence:
    """The place of one host's daemon, on a connection of its own; used by one thread."""

    def __init__(self, url: str, *, host: str, holder: str) -> None:
        """Take the place; raises HostTaken, DatabaseUnavailable, DatabaseUnsafe."""
        self._url, self._host, self._holder = url, host, holder
        self._key = residence_key(host)
        self._connection: BoundedConnection | None = None
        self._look_at = 0.0
        self._backend: int | None = None  # the server's process of the connection that held the place last
        self._taken_by: int | None = None
        self._duties: set[str] = set()
        self._try_at: dict[str, float] = {}
        try:
            self._take()
        except psycopg.Error as error:
            self.close()
            raise DatabaseUnavailable(url=url, cause=str(error).strip()) from error

    def is_held(self) -> bool:
        """Whether the place is still held; True while the server is away, which has let nobody in either.

        It may not have noticed yet that our last connection has ended, and keep the place for that.
        """
        if time.monotonic() < self._look_at or self._is_connected():
            return True
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            self._take()
        except HostTaken:
            return self._taken_by in (None, self._backend)  # None: given up since
        except psycopg.Error:
            self.close()
        return True

    def has(self, duty: str) -> bool:
        """Whether this place has a duty: a lock of the same connection, so that both end together.

        Once it is time to look, a duty of before is not believed: while nobody asked, the connection may have
        ended, and another host may be at it.
        """
        if duty in self._duties and time.monotonic() >= self._look_at:
            self._is_connected()
        connection = self._connection
        if duty not in self._duties and connection is not None and time.monotonic() >= self._due(duty):
            self._try_at[duty] = time.monotonic() + DUTY_SECONDS
            try:
                found = connection.execute("SELECT pg_try_advisory_lock(%s)", (duty_key(duty),)).fetchall()
            except psycopg.Error:  # `is_held` connects anew
                self.close()
            else:
                self._duties |= {duty} if found[0][0] else set()
        return duty in self._duties

    def leave(self, duty: str) -> None:
        """Unlock the duty."""
        if duty in self._duties and self._connection is not None:
            self._duties.discard(duty)
            try:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (duty_key(duty),))
            except psycopg.Error:  # it goes with the connection
                self.close()

    def _is_connected(self) -> bool:
        """Whether the connection still answers; all that it held goes with it."""
        try:
            if self._connection is not None and not self._connection.closed:
                self._connection.execute("SELECT 1")
                self._look_at = time.monotonic() + LOOK_SECONDS
                return True
        except psycopg.Error:
            pass
        self.close()
        return False

    def _due(self, duty: str) -> float:
        return self._try_at.get(duty, 0.0)

    def close(self) -> None:
        """Close the connection; the server lets go of its locks."""
        self._duties.clear()
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _take(self) -> None:
        """Connect and take the lock; raises HostTaken, psycopg.Error, DatabaseUnsafe."""
        connection = self._connection = opened(self._url, readonly=False)
        self._look_at = time.monotonic() + LOOK_SECONDS
        name = self._holder.encode()[:_NAME_BYTES].decode(errors="ignore")
        connection.execute("SELECT set_config('application_name', %s, false)", (name,))
        if connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchall()[0][0]:
            self._backend = connection.info.backend_pid
            return
        found = connection.execute(_HOLDER, (self._key,)).fetchall()
        self._taken_by = int(found[0][1]) if found else None
        self.close()
        raise HostTaken(host=self._host, holder=str(found[0][0]) if found else "", where=self._url)


def residence_key(host: str) -> int:
    """Return the advisory lock's number of a host: 63 bits of its name's hash."""
    return _key_of(f"daemon of {host}")


def duty_key(duty: str) -> int:
    """Return the advisory lock's number of a duty, which no host's can be."""
    return _key_of(f"duty {duty}")


def _key_of(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
