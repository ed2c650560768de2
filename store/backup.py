"""Backups made while the log is written to: a consistent copy, checked before it is called one.

A backup of SQLite is a database file, copied by SQLite itself in one step from one read snapshot; writers
go on. (Copied in several steps it would begin anew with every commit:
https://sqlite.org/c3ref/backup_finish.html.) A backup of Postgres is a transfer file, written from one
REPEATABLE READ snapshot: the server's own tools may not be installed where we run, and what the file lacks,
the projections, follows from the events.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from store.chain import Place, head_of
from store.database import Database, connect, is_sqlite, sqlite_path
from store.durable import appearing
from store.errors import DatabaseUnavailable, KeepingRefused
from store.records import Verification
from store.revision import require_schema
from store.seals import Seal, read_seals, seals_path
from store.transfer import check_transfer, write_log
from store.verification import verify

_STAMP, _STAMP_LENGTH = re.compile(r"\d{8}T\d{6}Z"), 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was checked: how many events, the last one's seq and hash, bytes, and how long it took.

    Attributes:
        copy_seconds: until the copy was consistent on its own; writers went on meanwhile.
        check_seconds: the chain and, where the copy has them, the projections were checked after it.
    """

    path: Path
    events: int
    head_seq: int
    head_hash: str
    size_bytes: int
    copy_seconds: float
    check_seconds: float


def backup_path(url: str, results_dir: Path, at: datetime) -> Path:
    """Return where a backup goes when nobody says: ``backups/<database>-<UTC time>`` beside the results."""
    suffix = ".db" if is_sqlite(url) else ".jsonl.gz"
    return results_dir / "backups" / f"{seals_path(url, results_dir).stem}-{at:%Y%m%dT%H%M%SZ}{suffix}"


def remove_older(kept: Path, *, keep: int) -> tuple[Path, ...]:
    """Remove backups beside `kept` that `backup_path` named for the same log, all but the `keep` newest.

    `kept` itself always stays, whatever the clock says. Returns what was removed, oldest first.
    """
    stem, _, end = kept.name.rpartition("-")
    stamp, suffix = end[:_STAMP_LENGTH], end[_STAMP_LENGTH:]
    if not _STAMP.fullmatch(stamp):
        return ()
    named = re.compile(re.escape(stem) + "-" + _STAMP.pattern + re.escape(suffix))
    others = sorted(path for path in kept.parent.iterdir() if named.fullmatch(path.name) and path != kept)
    older = others[: max(0, len(others) - (keep - 1))]
    for path in older:
        path.unlink(missing_ok=True)
    return tuple(older)


def back_up(url: str, path: Path, *, seals: Path | None = None) -> Backup:
    """Copy the log to a new file while others write, check the copy, and only then give it its name.

    With `seals` the copy is held against that file too. Raises KeepingRefused (the file is there, the disk
    refuses, the copy does not verify), DatabaseUnavailable, LogDamaged.
    """
    sealed = read_seals(seals) if seals is not None else ()  # before the copy, which may only know more
    database = connect(url, readonly=True)
    try:
        require_schema(database)
        if is_sqlite(url):
            return _sqlite_backup(sqlite_path(url), path, sealed)
        return _transfer_backup(database, path, sealed)
    finally:
        database.close()


def require_sound(found: Verification, *, what: str, where: str) -> None:
    """Raise KeepingRefused when a verification found problems; names the first."""
    if not found.ok:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise KeepingRefused(
            what=f"{what} does not verify: {found.problems[0]}{more}",
            where=where,
            fix="See all: trainwright db verify; tables alone are mended by: trainwright db rebuild",
        )


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database in one step from one snapshot, into one file without a log beside it."""
    address = f"file:{quote(str(source.absolute()))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=30.0)) as original,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            original.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise DatabaseUnavailable(url=f"sqlite:///{source}", cause=str(error)) from error
    shutil.copymode(source, target)


def head_and_count(database: Database) -> tuple[Place, int]:
    """Return the last event's place and how many events there are."""
    with database.snapshot() as tx:
        return head_of(tx), int(tx.query("SELECT COUNT(*) FROM event")[0][0])


def _sqlite_backup(source: Path, path: Path, sealed: Sequence[Seal]) -> Backup:
    with appearing(path) as partial:
        began = time.monotonic()
        copy_sqlite(source, partial)
        copied = time.monotonic()
        copy = connect(f"sqlite:///{partial}", readonly=True)
        try:
            require_sound(verify(copy, outside=sealed), what="the copy", where=str(source))
            head, events = head_and_count(copy)
        finally:
            copy.close()
        checked = time.monotonic()
        return Backup(
            path=path,
            events=events,
            head_seq=head.seq,
            head_hash=head.hash.hex(),
            size_bytes=partial.stat().st_size,
            copy_seconds=copied - began,
            check_seconds=checked - copied,
        )


def _transfer_backup(database: Database, path: Path, sealed: Sequence[Seal]) -> Backup:
    with appearing(path) as partial:
        began = time.monotonic()
        write_log(database, partial, compressed=True)
        copied = time.monotonic()
        found = check_transfer(partial, outside=sealed)
        return Backup(
            path=path,
            events=found.events,
            head_seq=found.head_seq,
            head_hash=found.head_hash,
            size_bytes=found.size_bytes,
            copy_seconds=copied - began,
            check_seconds=time.monotonic() - copied,
        )
