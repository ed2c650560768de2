"""The log of a simulation: a real file of SQLite on a disk that is memory, with virtual time for a clock.

Not a log in memory: of such a one SQLite keeps all pages in its cache and goes through all of them at a
commit that moved pages, so that a log of half a GiB spends a third of its time there.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.scale.agenda import Agenda
from store.schema import upgrade
from store.sqlite_database import SqliteDatabase, SqliteTx

_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - tmpfs(5)
# Where logs begin; elsewhere it is the folder for what is temporary.
BEGINS_IN = _MEMORY_DISK if _MEMORY_DISK.is_dir() else None


class VirtualLog(SqliteDatabase):
    """A log that goes with this process, however it ends: its file has no name any more once it is open.

    The time is told by a function, so that SQLite knows the statements again. A moment written into each of
    them, as by `open_store(clock=...)`, makes each a new one, which SQLite prepares anew.
    """

    def __init__(self, agenda: Agenda, within: Path | None = None) -> None:
        """`within` is a folder of somebody who removes it: for a process that is killed while it begins."""
        self._agenda = agenda
        folder = Path(mkdtemp(prefix="trainwright-", dir=within or BEGINS_IN))
        try:
            url = f"sqlite:///{folder / 'log.db'}"
            upgrade(url)
            super().__init__(url)
            SqliteTx.clock = "virtual_now()"
            with self.transaction() as tx:  # the files beside it are opened with the first
                tx.now()
        finally:
            shutil.rmtree(folder)

    def _opened(self) -> sqlite3.Connection:
        connection = super()._opened()
        connection.create_function("virtual_now", 0, self._agenda.microseconds)
        return connection
