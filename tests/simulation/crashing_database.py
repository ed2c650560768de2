"""Databases for machines: any engine, with a power switch, empty in next to no time."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from store.database import Database, Tx
from store.memory_database import MemoryDatabase, empty
from store.postgres_database import PostgresDatabase
from store.sqlite_database import SqliteDatabase
from store.waking import Waker

_NUMBERS = count(1)


class Crashed(Exception):
    """The power went."""


class CrashingDatabase:
    """A database whose next transaction dies where the test says: before its commit, or just after."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.crash: str | None = None

    @property
    def url(self) -> str:
        """The address."""
        return self._database.url

    @property
    def engine(self) -> str:
        """The engine."""
        return self._database.engine

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[Tx]:
        """A transaction; raises Crashed where that was asked for."""
        with self._database.transaction(**options) as tx:
            yield tx
            if self.crash == "before":
                self.crash = None
                raise Crashed
        if self.crash == "after":
            self.crash = None
            raise Crashed

    @contextmanager
    def snapshot(self) -> Iterator[Tx]:
        """A snapshot."""
        with self._database.snapshot() as tx:
            yield tx

    def waker(self, worker: str) -> Waker:
        """What the database has."""
        return self._database.waker(worker)

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


@lru_cache(maxsize=1)
def _folder() -> Path:
    """A folder that is gone when the test run ends, whatever happens to the machines that use it."""
    folder = Path(tempfile.mkdtemp(prefix="tw-sim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "empty.db").write_bytes(empty())
    return folder


def in_memory() -> CrashingDatabase:
    """A database in memory."""
    return CrashingDatabase(MemoryDatabase())


def in_a_file() -> CrashingDatabase:
    """A SQLite file; the one before is taken away."""
    for old in _folder().glob("used*"):
        old.unlink()
    path = _folder() / f"used{next(_NUMBERS)}.db"
    shutil.copyfile(_folder() / "empty.db", path)
    return CrashingDatabase(SqliteDatabase(f"sqlite:///{path}"))


def on_postgres(server: str) -> CrashingDatabase:
    """A database of a server that has ``template_trainwright``; the one before is dropped."""
    number = next(_NUMBERS)
    with psycopg.connect(server, autocommit=True) as connection:
        olds = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'machine%'").fetchall()
        for (old,) in olds:
            connection.execute(f"DROP DATABASE {old} WITH (FORCE)".encode())
        copying = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        connection.execute(
            f"CREATE DATABASE machine{number} TEMPLATE template_trainwright {copying}".encode()
        )
    return CrashingDatabase(PostgresDatabase(server.replace("/postgres?", f"/machine{number}?")))
