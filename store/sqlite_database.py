"""SQLite behind the database face: WAL, synchronous=FULL, one connection per thread and process.

``synchronous=NORMAL`` loses acknowledged commits at a power cut and hands out their numbers again, so the
store insists on FULL (https://sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import quote

from store.database import Row, Statement, insert_sql, sqlite_path, update_sql
from store.errors import DatabaseDamaged, DatabaseUnavailable, DatabaseUnsafe, WriteRefused
from store.patience import PATIENCE
from store.waking import Waker

# Prepared, of each connection: questions about one fit, two, three, … are each one of their own.
STATEMENTS_KEPT = 512
BUSY_SECONDS = 30.0
NETWORK_FILE_SYSTEMS = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smb2", "smbfs", "ncpfs", "9p", "afs", "coda", "ceph", "lustre",
    "gpfs", "beegfs", "glusterfs", "orangefs", "pvfs2", "davfs", "vboxsf", "fuse.sshfs", "fuse.rclone",
    "fuse.s3fs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs", "fuse.davfs2",
    "fuse.gcsfuse", "fuse.goofys", "fuse.mountpoint-s3", "fuse.juicefs", "fuse.nfs", "fuse.smbnetfs",
    "fuse.vmhgfs-fuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.beegfs", "fuse.moosefs", "fuse.mfs",
    "fuse.lizardfs", "fuse.seaweedfs", "fuse.alluxio-fuse",
))  # fmt: skip
# unixepoch('subsec') is NULL before SQLite 3.42; the Julian day keeps milliseconds in every version.
NOW = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000"


class SqliteTx:
    """One open SQLite transaction."""

    engine = "sqlite"
    clock = NOW
    last_answers: ClassVar[list[list[Row]]] = []

    def __init__(self, connection: sqlite3.Connection, url: str) -> None:
        self._connection = connection
        self._url = url

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows; raises DatabaseUnavailable."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self._url) from error

    def queries(self, asked: Sequence[Statement]) -> list[list[Row]]:
        """Return all rows of several questions; raises DatabaseUnavailable."""
        return [self.query(sql, parameters) for sql, parameters in asked]

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Yield rows one by one; raises DatabaseUnavailable."""
        try:
            yield from self._connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise translated(error, self._url) from error

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows and return how many; raises WriteRefused, DatabaseUnavailable."""
        try:
            return self._connection.execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise translated(error, self._url) from error

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows once per parameter set; raises WriteRefused, DatabaseUnavailable."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise translated(error, self._url) from error

    def now(self) -> int:
        """Return the clock in microseconds since the epoch, UTC, whole milliseconds."""
        return int(self.query(f"SELECT {self.clock}")[0][0])

    def later(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Change rows now: there is no round trip to save; raises WriteRefused, DatabaseUnavailable."""
        self.execute(sql, parameters)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows, however many; raises WriteRefused, DatabaseUnavailable."""
        self._each(insert_sql(table, tuple(columns)), rows)

    def update(self, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set columns of the rows found by a key; raises WriteRefused, DatabaseUnavailable."""
        self._each(update_sql(table, tuple(key), tuple(columns)), rows)

    def _each(self, sql: str, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            self.execute(sql, rows[0])
        else:
            self.execute_many(sql, rows)

    def wake(self) -> None:
        """Nothing: every commit is noticed."""


class SqliteTransaction:
    """From BEGIN to COMMIT, or to ROLLBACK when the body raises."""

    def __init__(self, connection: sqlite3.Connection, url: str, begin: str) -> None:
        self._connection, self._url, self._first = connection, url, begin

    def __enter__(self) -> SqliteTx:
        try:
            _begin(self._connection, self._first)
        except sqlite3.Error as error:
            raise translated(error, self._url) from error
        return SqliteTx(self._connection, self._url)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
                return
        except sqlite3.Error as refused:
            self._undo()
            raise translated(refused, self._url) from refused
        self._undo()

    def _undo(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")


class SqliteDatabase:
    """A SQLite file; readonly opens it without the right to write."""

    engine = "sqlite"

    def __init__(self, url: str, *, readonly: bool = False) -> None:
        self.url = url
        self.path = sqlite_path(url)
        self._readonly = readonly
        self._local = threading.local()

    def transaction(self, *, shared: bool = False) -> SqliteTransaction:  # noqa: ARG002 - one writer at a time
        """Open a write transaction; raises DatabaseUnavailable when the file stays locked."""
        return SqliteTransaction(self._connection(), self.url, "BEGIN IMMEDIATE")

    def aside(self) -> SqliteTransaction:
        """Open a write transaction, as any other here."""
        return self.transaction()

    def snapshot(self) -> SqliteTransaction:
        """Open a read transaction; raises DatabaseUnavailable."""
        return SqliteTransaction(self._connection(), self.url, "BEGIN")

    def waker(self, worker: str) -> Waker:  # noqa: ARG002 - the kernel knows the processes of this host
        """Return what notices every commit; only hosts load it."""
        home = import_module("store.sqlite_waker")
        return _typed(home.SqliteWaker(self.path))

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None and self._local.pid == os.getpid():
            connection.close()
        self._local.connection = None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._readonly and self._file() != self._local.file:
            self.close()  # who only reads may outlive the file: another lies in its place, or none
            connection = None
        if connection is None or self._local.pid != os.getpid():
            self._local.pid, self._local.file = os.getpid(), self._file()
            connection = self._local.connection = self._opened()
        return connection

    def _file(self) -> tuple[int, int] | None:
        """Return what tells the file at the path from every other, None where there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _opened(self) -> sqlite3.Connection:
        mode = "ro" if self._readonly else "rw"
        address = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
        try:
            connection = sqlite3.connect(
                address,
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                cached_statements=STATEMENTS_KEPT,
            )
        except sqlite3.Error as error:
            raise translated(error, self.url) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise translated(error, self.url) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Set what every connection needs; raises DatabaseUnsafe, sqlite3.Error."""
        if self._readonly:
            connection.execute("PRAGMA query_only = ON")
            return
        refuse_network_file_system(self.url, self.path)
        for pragma in ("foreign_keys = ON", "recursive_triggers = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        journal = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
        connection.execute("PRAGMA busy_timeout = 1")  # from here on `_begin` does the waiting
        if journal != "wal" or synchronous != 2:
            raise DatabaseUnsafe(
                url=self.url,
                sentence=f"journal_mode is {journal} and synchronous {synchronous}, not wal and 2",
                fix="Move the file to a local disk file system",
            )


def _typed(waker: Waker) -> Waker:
    """Return the waker under the type of its face."""
    return waker


def _begin(connection: sqlite3.Connection, begin: str) -> None:
    """Begin a transaction, asking for the lock every millisecond; raises sqlite3.OperationalError after 30 s.

    SQLite's own waiting sleeps up to 0.1 s between two tries, so that a busy writer starves all others.
    """
    began_at = time.monotonic()
    while True:
        try:
            connection.execute(begin)
            if begin == "BEGIN":
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")  # the snapshot is taken here
            return
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() - began_at > PATIENCE.seconds(BUSY_SECONDS):
                PATIENCE.lost()
                raise
        time.sleep(random.uniform(0.0005, 0.0015))  # noqa: S311 - no secret, only out of step


def refuse_network_file_system(url: str, path: Path, mounts: str | None = None) -> None:
    """Raise DatabaseUnsafe when the file lies on a network file system, where WAL is not safe.

    `mounts` is the text of ``/proc/self/mountinfo`` (proc(5)); it is read when not given.
    """
    kind = file_system_of(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise DatabaseUnsafe(
            url=url,
            sentence=f"it lies on a network file system ({kind}), where SQLite's WAL is not safe",
            fix="Move it to a local disk, or set TRAINWRIGHT_DATABASE_URL to a postgresql:// address",
        )


def file_system_of(path: Path, mounts: str | None = None) -> str | None:
    """Return the type of the file system a path lies on, or None where that cannot be read."""
    if mounts is None:
        source = Path("/proc/self/mountinfo")
        if not source.exists():
            return None
        mounts = source.read_text(errors="replace")
    absolute = path.absolute()
    found: tuple[int, str | None] = (-1, None)
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) > 4 and right and absolute.is_relative_to(fields[4].replace("\\040", " ")):
            found = max(found, (len(fields[4]), right.split()[0]), key=lambda one: one[0])
    return found[1]


def translated(error: sqlite3.Error, url: str) -> WriteRefused | DatabaseDamaged | DatabaseUnavailable:
    """Return the store's error for one of the driver's."""
    if isinstance(error, sqlite3.IntegrityError):
        return WriteRefused(url=url, cause=str(error))
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseDamaged(url=url, cause=str(error))
    return DatabaseUnavailable(url=url, cause=str(error))
