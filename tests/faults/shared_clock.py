"""A clock that all processes of a campaign share and that only the campaign moves."""

from __future__ import annotations

import mmap
import sqlite3
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store_work import POLICY

from store import PlanStore
from store.sqlite_database import SqliteDatabase

_BEGINNING = datetime(2026, 1, 2, tzinfo=UTC)
_EPOCH_JULIAN, _DAY_SECONDS = 2440587.5, 86400.0


class SharedClock:
    """Seconds since the beginning, in memory shared with every process forked after it was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def __call__(self) -> datetime:
        return _BEGINNING + timedelta(seconds=struct.unpack("d", self._memory[:8])[0])

    def move(self, seconds: float) -> None:
        """Let time pass, or go back."""
        (now,) = struct.unpack("d", self._memory[:8])
        self._memory[:8] = struct.pack("d", now + seconds)

    def reset(self) -> None:
        """Go back to the beginning."""
        self._memory[:8] = bytes(8)

    def julian_day(self, _: object = None) -> float:
        """The moment as SQLite counts it, in days."""
        return self().timestamp() / _DAY_SECONDS + _EPOCH_JULIAN


class JumpingDatabase(SqliteDatabase):
    """A SQLite file on a machine whose wall clock is the campaign's: SQLite itself answers with that time."""

    def __init__(self, path: Path, clock: SharedClock) -> None:
        super().__init__(f"sqlite:///{path}")
        self._clock = clock

    def _opened(self) -> sqlite3.Connection:
        connection = super()._opened()
        connection.create_function("julianday", 1, self._clock.julian_day)
        return connection


def jumping_store(path: Path, clock: SharedClock) -> PlanStore:
    """The store over a file, by that wall clock."""
    return PlanStore(JumpingDatabase(path, clock), policy=POLICY)
