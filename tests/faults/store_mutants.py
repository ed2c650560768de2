"""Stores with one planted fault each: what a campaign must find, or it proves nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from store_work import POLICY

from store import Claim, PlanStore, leases
from store.database import Row
from store.moments import moment_of
from store.sqlite_database import SqliteDatabase, SqliteTransaction, SqliteTx
from store.state import STATE_TYPES, FitState
from store.turn import Turn

_TABLES = "|".join(kind.TABLE for kind in STATE_TYPES)
_PROJECTION = re.compile(rf"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+({_TABLES})\b", re.IGNORECASE)


class LateTx(SqliteTx):
    """A transaction that puts every write to a projection aside."""

    def __init__(self, connection: sqlite3.Connection, url: str) -> None:
        super().__init__(connection, url)
        self.late: list[tuple[str, Sequence[Row]]] = []

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows, or put it aside."""
        if _PROJECTION.match(sql):
            self.late.append((sql, [tuple(parameters)]))
            return 1
        return super().execute(sql, parameters)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows, or put it aside."""
        if _PROJECTION.match(sql):
            self.late.append((sql, [tuple(row) for row in rows]))
            return
        super().execute_many(sql, rows)


class LateTransaction(SqliteTransaction):
    """Commits the events first, and their projections in a second transaction."""

    def __enter__(self) -> LateTx:
        """Open the first of the two."""
        self._tx = LateTx(super().__enter__()._connection, self._url)
        return self._tx

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit both, one after the other."""
        super().__exit__(kind, error, trace)
        if kind is None and self._tx.late:
            with SqliteTransaction(self._connection, self._url, "BEGIN IMMEDIATE") as second:
                for sql, rows in self._tx.late:
                    second.execute_many(sql, rows)


class LateDatabase(SqliteDatabase):
    """Every write transaction is two."""

    def transaction(self, *, shared: bool = False) -> SqliteTransaction:
        """Open the first."""
        return LateTransaction(self._connection(), self.url, "BEGIN IMMEDIATE")


class LazyTransaction(SqliteTransaction):
    """Commits what was left open before it, and leaves its own commit to whatever comes next."""

    def __enter__(self) -> SqliteTx:
        """Commit what is open, and begin."""
        _settle(self._connection)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo what raised; leave the rest open."""
        if kind is not None:
            super().__exit__(kind, error, trace)


class LazyDatabase(SqliteDatabase):
    """What was acknowledged is not yet written."""

    def transaction(self, *, shared: bool = False) -> SqliteTransaction:
        """Open a transaction that is committed later."""
        return LazyTransaction(self._connection(), self.url, "BEGIN IMMEDIATE")

    def snapshot(self) -> SqliteTransaction:
        """Commit what is open, and read."""
        _settle(self._connection())
        return super().snapshot()


def _settle(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("COMMIT")


class NormalDatabase(SqliteDatabase):
    """synchronous=NORMAL: a commit is acknowledged before it is on the disk."""

    def _opened(self) -> sqlite3.Connection:
        connection = super()._opened()
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def _trusting(turn: Turn, held: Claim) -> FitState:
    """Let anybody speak who ever held the fit."""
    return turn.fit(held.fit_id)


def _unnumbered(turn: Turn, held: Claim) -> datetime:
    """Extend whatever lease the fit has, without asking whose it is."""
    expires_at = turn.now + round(held.lease_seconds * 1_000_000)
    turn.tx.execute("UPDATE lease SET expires_at = ? WHERE fit_id = ?", (expires_at, held.fit_id))
    return moment_of(expires_at)


_DATABASES: dict[str, type[SqliteDatabase]] = {
    "late projections": LateDatabase,
    "lazy commit": LazyDatabase,
    "synchronous=NORMAL": NormalDatabase,
}
_PATCHES = {"no fence": ("require_held", _trusting), "renew without number": ("renew", _unnumbered)}


def plant(mutant: str) -> None:
    """Put a fault into the code of this process and of those forked from it, if the mutant is a patch."""
    if mutant in _PATCHES:
        name, planted = _PATCHES[mutant]
        getattr(leases, name)  # it must be there, or nothing is planted
        setattr(leases, name, planted)


def store_of(path: Path, mutant: str = "", *, clock: Callable[[], datetime] | None = None) -> PlanStore:
    """The store over a file, or one with a planted fault; a patch is for the whole process."""
    if mutant and mutant not in _PATCHES and mutant not in _DATABASES:
        raise LookupError(mutant)
    plant(mutant)
    database = _DATABASES.get(mutant, SqliteDatabase)
    return PlanStore(database(f"sqlite:///{path}"), policy=POLICY, clock=clock)
