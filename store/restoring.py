"""Restore: a backup takes the log's place once it was checked, and what was there is kept aside.

The new database is built beside the old one (a file; on Postgres a schema), brought to the newest tables, and
verified. Only then the two change places, in one step.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from store import rebuilding
from store.backup import copy_sqlite, head_and_count, require_sound
from store.chain import Place
from store.database import Database, connect, is_sqlite, sqlite_path
from store.durable import sync_directory, sync_file, unwritable
from store.errors import DatabaseDamaged, DatabaseUnavailable, KeepingRefused, LogDamaged, SchemaBehind
from store.postgres_restoring import restore_schema
from store.revision import revision_of
from store.schema import upgrade
from store.seals import read_seals, seal
from store.transfer import import_log, is_transfer
from store.verification import verify

SQLITE_MAGIC = b"SQLite format 3\0"
_UNREADABLE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What the log is now, where the one before it lies, and how many events only that one has."""

    events: int
    head_seq: int
    head_hash: str
    kept_aside: str | None
    lost_events: int


def restore(url: str, source: Path, *, force: bool = False, seals: Path | None = None) -> Restored:
    """Put a backup in the place of the log; the one before is kept aside, and the seals follow.

    The caller sees to it that no daemon works on it; whoever else has it open is noticed. Raises
    KeepingRefused (a log with events is there and `force` is not given, the backup does not verify,
    somebody is at work), LogDamaged, DatabaseUnavailable. Whatever is raised, the log is what it was.
    """
    if not source.is_file():
        raise KeepingRefused(
            what="there is no such file", where=str(source), fix="Name a backup", exit_code=4
        )
    before = _head_there(url)
    if before and not force:
        there = f"goes up to event {before:,}" if before > 0 else "cannot be read"
        raise KeepingRefused(
            what=f"a log is there already, and it {there}",
            where=url,
            fix="Add --force to replace it; it is kept aside under another name",
        )
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if is_sqlite(url):
        head, events, aside = _restore_file(
            sqlite_path(url), source, stamp, seals, is_damaged=before == _UNREADABLE
        )
    else:
        require_transfer(source)
        head, events, aside = restore_schema(url, lambda side: _fill(side, source, seals), stamp)
    _seal_again(url, seals, stamp)
    return Restored(
        events=events,
        head_seq=head.seq,
        head_hash=head.hash.hex(),
        kept_aside=aside,
        lost_events=max(0, before - head.seq),
    )


def require_transfer(source: Path) -> None:
    """Raise KeepingRefused unless a file is an export of a log."""
    if is_transfer(source):
        return
    with source.open("rb") as file:
        of_sqlite = file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    what = "it is a backup of a SQLite database" if of_sqlite else "it is no backup of a log"
    fix = "Restore it beside, then: trainwright db export, and restore that" if of_sqlite else "Name a backup"
    raise KeepingRefused(what=what, where=str(source), fix=fix)


def _head_there(url: str) -> int:
    """Return the seq of the log's last event; `_UNREADABLE` for a damaged file, or one that is no log."""
    if is_sqlite(url) and not (sqlite_path(url).is_file() and sqlite_path(url).stat().st_size):
        return 0
    database = connect(url, readonly=True)
    try:
        if revision_of(database) is None:
            return _UNREADABLE if is_sqlite(url) else 0
        with database.snapshot() as tx:
            return int(tx.query("SELECT COALESCE(MAX(seq), 0) FROM event")[0][0])
    except DatabaseDamaged:
        return _UNREADABLE
    finally:
        database.close()


def _restore_file(
    path: Path, source: Path, stamp: str, seals: Path | None, *, is_damaged: bool
) -> tuple[Place, int, str | None]:
    """Build the new file beside the old one, and let them change places."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.restoring")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(fresh)
        with source.open("rb") as file:
            is_file_of_sqlite = file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
        if is_file_of_sqlite:
            copy_sqlite(source, fresh)
            head, events = _fill(f"sqlite:///{fresh}", None, seals)
        else:
            require_transfer(source)
            head, events = _fill(f"sqlite:///{fresh}", source, seals)
        _require_alone(fresh)
        sync_file(fresh)
        if path.exists() and not is_damaged:
            _require_alone(path)
        return head, events, _swap(path, fresh, stamp)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _remove(fresh)


def _fill(url: str, source: Path | None, seals: Path | None) -> tuple[Place, int]:
    """Bring a copy (or, from a transfer file, a new database) to today's tables and verify it."""
    if source is None:
        _require_log(url)
    upgrade(url)
    database = connect(url)
    try:
        if source is not None:
            import_log(database, source)
        elif rebuilding.is_outdated(database):
            with database.transaction() as tx:
                rebuilding.rebuild(tx)
        head, events = head_and_count(database)
        sealed = [one for one in read_seals(seals) if one.last_seq <= head.seq] if seals is not None else []
        require_sound(verify(database, outside=sealed), what="the backup", where=str(source or url))
    finally:
        database.close()
    return head, events


def _require_log(url: str) -> None:
    """Raise SchemaBehind for a SQLite file without our tables."""
    database = connect(url, readonly=True)
    try:
        if revision_of(database) is None:
            raise SchemaBehind(url=url, found=None, wanted="a backup of a log")
    finally:
        database.close()


def _require_alone(path: Path) -> None:
    """Fold the write-ahead log into the file, which only one alone can.

    Raises KeepingRefused for another user.
    """
    with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise DatabaseUnavailable(url=f"sqlite:///{path}", cause=str(error)) from error
            raise KeepingRefused(
                what="another process has the event log open",
                where=str(path),
                fix="End it (a run, a page, a notebook, sqlite3), then repeat the command",
                exit_code=75,
            ) from error


def _swap(path: Path, fresh: Path, stamp: str) -> str | None:
    """Let the fresh file take the place of the old one, which keeps its content under another name."""
    aside = path.with_name(f"{path.name}.before-restore-{stamp}")
    kept = path.exists()
    if kept:
        for ending in (
            "-wal",
            "-shm",
        ):  # of a damaged file: beside the fresh one they would be taken for its own
            side = path.with_name(path.name + ending)
            if side.exists():
                side.rename(aside.with_name(aside.name + ending))
        try:
            aside.hardlink_to(path)
        except OSError:  # a file system without links: for a moment there is no log under the name
            path.rename(aside)
    fresh.replace(path)
    sync_directory(path.parent)
    return str(aside) if kept else None


def _seal_again(url: str, seals: Path | None, stamp: str) -> None:
    """Let the seals outside say what the restored log says; a file that says more is kept aside."""
    if seals is None:
        return
    database: Database = connect(url)
    try:
        try:
            seal(database, seals)
        except LogDamaged:
            shutil.move(seals, seals.with_name(f"{seals.name}.before-restore-{stamp}"))
            seal(database, seals)
    finally:
        database.close()


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
