"""A database that can be in many states, one after the other: for a search that tries every next step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from store.memory_database import MemoryDatabase, empty
from store.sqlite_database import SqliteTx


class PowerCut(Exception):
    """The process ended just after a commit; nobody got the answer."""


class BranchingDatabase(MemoryDatabase):
    """A database in memory; all its transactions happen inside one more, which `back` undoes.

    So each of the store's transactions is a savepoint: atomic as a transaction is, and read by the next one.
    After the next commit the power goes if `cut` is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self._source = sqlite3.connect(":memory:", isolation_level=None)
        # Not loaded by deserialize(): of such a database serialize() leaves out what is not committed.
        self.memory.connection = sqlite3.connect(":memory:", isolation_level=None)
        for pragma in ("foreign_keys = ON", "recursive_triggers = ON"):
            self.memory.connection.execute(f"PRAGMA {pragma}")
        self.cut = False
        self.go(empty())

    @property
    def changes(self) -> int:
        """How many rows were ever written: the same number before and after means that nothing was."""
        return self.memory.connection.total_changes

    def go(self, state: bytes) -> None:
        """Go to a state."""
        connection = self.memory.connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self._source.deserialize(state)
        self._source.backup(connection)
        connection.execute("BEGIN")

    def back(self) -> None:
        """Go back to the state gone to last."""
        self.memory.connection.execute("ROLLBACK")
        self.memory.connection.execute("BEGIN")

    def here(self) -> bytes:
        """Return the state as it is now."""
        return self.memory.connection.serialize()

    @contextmanager
    def transaction(self) -> Iterator[SqliteTx]:
        """Open a write transaction; raises PowerCut after its commit if that was asked for."""
        with super().transaction() as tx:
            yield tx
        if self.cut:
            self.cut = False
            raise PowerCut

    @contextmanager
    def _begun(self, begin: str) -> Iterator[SqliteTx]:
        connection = self.memory.connection
        connection.execute("SAVEPOINT turn")
        try:
            yield SqliteTx(connection, self.url)
        except BaseException:
            connection.execute("ROLLBACK TO turn")
            connection.execute("RELEASE turn")
            raise
        connection.execute("RELEASE turn")
