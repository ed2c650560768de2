"""Seals: the hash at the end of each segment of the log, kept in a table and in a file outside the database.

Whoever has the database can change an event and compute the chain anew behind it. The seals in the file say
what the hashes were, so that a log that was rewritten, or cut at its end, is found out. The file is JSON
lines, only ever added to, each line on disk before `seal` returns.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from store.chain import Place, followed, head_of, rows_between, start_of
from store.database import Database, Row, Tx, connect, is_sqlite, sqlite_path
from store.durable import sync_directory, unwritable
from store.errors import KeepingRefused, LogDamaged
from store.moments import iso_utc, microseconds_of, moment_of, parsed_utc

SEGMENT_EVENTS = 10_000
_BATCH_EVENTS = 50_000  # sealed in one go; what was sealed before stays sealed when a later row does not fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The hash of event `last_seq`, which stands for all before it; `sealed_at` in microseconds (epoch)."""

    first_seq: int
    last_seq: int
    hash: bytes
    sealed_at: int

    @property
    def line(self) -> str:
        """The seal as its line of the file."""
        record = {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "hash": self.hash.hex(),
            "events": self.last_seq - self.first_seq + 1,
            "sealed_at": iso_utc(moment_of(self.sealed_at)),
        }
        return json.dumps(record) + "\n"


class SealCheck:
    """Holds the log against the seals of one place, and keeps the first that is broken."""

    def __init__(self, seals: Sequence[Seal], start: Place, *, where: str) -> None:
        self.problems: list[str] = []
        self._where = where
        self._start = start
        self._open = {one.last_seq: one for one in seals}

    def see(self, row: Row) -> None:
        """Compare a row with the seal that ends at it, if one does."""
        if row[0] in self._open:
            self._compare(Place(seq=row[0], hash=bytes(row[15])))

    def end(self, head: int) -> None:
        """Compare what the walk did not meet: the retired part, and what is missing behind the head."""
        if self._start.seq:
            if self._start.seq not in self._open:
                self.problems.append(
                    f"event {self._start.seq + 1}: the log begins here, and no seal {self._where} ends "
                    "before it: its oldest part was cut off by somebody else"
                )
            self._compare(self._start)
        missing = [one for one in self._open.values() if one.last_seq > head]
        if missing:
            last = max(missing, key=lambda one: one.last_seq)
            self.problems.append(
                f"event {head + 1}: it and all up to {last.last_seq} are missing at the end: they were "
                f"sealed {self._where} by {iso_utc(moment_of(last.sealed_at))}"
            )

    def _compare(self, place: Place) -> None:
        seal = self._open.get(place.seq)
        if seal is not None and seal.hash != place.hash and not self.problems:
            self.problems.append(
                f"event {seal.first_seq}: from it to {seal.last_seq} the history was rewritten: the hash "
                f"sealed {self._where} at {iso_utc(moment_of(seal.sealed_at))} is another"
            )


def seals_path(url: str, results_dir: Path) -> Path:
    """Return the file of a database's seals beside the results: ``seals/<database>.jsonl``."""
    name = sqlite_path(url).stem if is_sqlite(url) else url.partition("?")[0].rpartition("/")[2]
    return results_dir / "seals" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name) or 'trainwright'}.jsonl"


def seal_log(url: str, path: Path, *, every: int = SEGMENT_EVENTS, to_head: bool = False) -> tuple[Seal, ...]:
    """Seal the log at an address; see `seal`."""
    database = connect(url)
    try:
        return seal(database, path, every=every, to_head=to_head)
    finally:
        database.close()


def keep_seals(url: str, path: Path) -> None:
    """Add to the file the seals of the log at an address that it lacks, whoever made them.

    Raises LogDamaged when the file says otherwise, KeepingRefused when it cannot be written.
    """
    database = connect(url, readonly=True)
    try:
        _keep_outside(database, path)
    finally:
        database.close()


def seal(
    database: Database,
    path: Path,
    *,
    every: int = SEGMENT_EVENTS,
    to_head: bool = False,
    upto: int | None = None,
) -> tuple[Seal, ...]:
    """Seal every segment that is full or ends with a plan, and return the new seals; again: nothing new.

    Each row is checked against the chain before its segment is sealed. With `to_head` the last, short
    segment is sealed too; with `upto` nothing behind that seq, and that event itself. Raises LogDamaged
    when a row does not fit, or the log is no longer the one that was sealed before.
    """
    made: list[Seal] = []
    while batch := _next_batch(database, every=every, to_head=to_head, upto=upto):
        with database.transaction() as tx:
            newest = sealed_place(tx).seq
            fresh = [one for one in batch if one.last_seq > newest]
            tx.execute_many(
                "INSERT INTO seal (last_seq, first_seq, hash, sealed_at) VALUES (?, ?, ?, ?)",
                [(one.last_seq, one.first_seq, one.hash, one.sealed_at) for one in fresh],
            )
        made += fresh
    _keep_outside(database, path)
    return tuple(made)


def seals_of(tx: Tx) -> tuple[Seal, ...]:
    """Return the seals of the table, oldest first."""
    rows = tx.query("SELECT first_seq, last_seq, hash, sealed_at FROM seal ORDER BY last_seq")
    return tuple(
        Seal(first_seq=int(row[0]), last_seq=int(row[1]), hash=bytes(row[2]), sealed_at=int(row[3]))
        for row in rows
    )


def sealed_place(tx: Tx) -> Place:
    """Return the place up to which the log is sealed: its newest seal, or its start."""
    start = start_of(tx)
    found = tx.query("SELECT last_seq, hash FROM seal ORDER BY last_seq DESC LIMIT 1")
    if not found or int(found[0][0]) <= start.seq:
        return start
    return Place(seq=int(found[0][0]), hash=bytes(found[0][1]))


def read_seals(path: Path) -> tuple[Seal, ...]:
    """Return the seals of a file, none when there is no file.

    Raises KeepingRefused for a line that is not one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    return tuple(_parsed(content, path))


def _parsed(content: bytes, path: Path) -> Iterator[Seal]:
    """Yield the seals of the whole lines of a file; raises KeepingRefused for a line that is no seal."""
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = json.loads(line)
            yield Seal(
                first_seq=int(record["first_seq"]),
                last_seq=int(record["last_seq"]),
                hash=bytes.fromhex(record["hash"]),
                sealed_at=microseconds_of(parsed_utc(record["sealed_at"])),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise KeepingRefused(
                what=f"line {number} of the seals cannot be read",
                where=str(path),
                fix="Look at the line; move the file aside if it is lost, and seal anew: trainwright db seal",
            ) from error


def _next_batch(database: Database, *, every: int, to_head: bool, upto: int | None) -> list[Seal]:
    """Return the seals to be made next, their rows checked; none when nothing is to be sealed."""
    with database.snapshot() as tx:
        start, head = sealed_place(tx), head_of(tx)
        _require_sealed_row(tx, start, head)
        last = head.seq if upto is None else min(upto, head.seq)
        ends = _ends(tx, start.seq, last, every=every, whole=to_head or upto is not None)
        if not ends:
            return []
        now, first, wanted, seals = tx.now(), start.seq + 1, set(ends), []
        for row in followed(rows_between(tx, start.seq, ends[-1]), start):
            if row[0] in wanted:
                seals.append(Seal(first_seq=first, last_seq=row[0], hash=bytes(row[15]), sealed_at=now))
                first = row[0] + 1
        return seals


def _ends(tx: Tx, after: int, last: int, *, every: int, whole: bool) -> list[int]:
    """Return where segments end behind `after`: with each completed plan, and never longer than `every`."""
    near = min(last, after + max(every, _BATCH_EVENTS))
    completed = "SELECT seq FROM event WHERE seq > ? AND seq <= ? AND kind = 'PlanCompleted' ORDER BY seq"
    ends: list[int] = []
    for (stop,) in tx.query(completed, (after, near)):
        ends += range(after + every, stop, every)
        ends.append(stop)
        after = stop
    ends += range(after + every, near + 1, every)
    if whole and near == last and last > max(after, *ends, 0):
        ends.append(last)
    return ends


def _require_sealed_row(tx: Tx, sealed: Place, head: Place) -> None:
    """Raise LogDamaged unless the event of the newest seal is there and is the one that was sealed."""
    if sealed.seq > head.seq:
        raise LogDamaged(
            seq=head.seq, sentence=f"the log ends here, but events up to {sealed.seq} were there and sealed"
        )
    found = tx.query("SELECT hash FROM event WHERE seq = ?", (sealed.seq,))
    if found and bytes(found[0][0]) != sealed.hash:
        raise LogDamaged(seq=sealed.seq, sentence="its hash is not the one that was sealed")


def _keep_outside(database: Database, path: Path) -> None:
    """Add the seals that the file lacks and wait for the disk.

    Raises LogDamaged when the file says otherwise.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            _add_missing(database, path, file)
    except OSError as error:
        raise unwritable(path, error) from error


def _add_missing(database: Database, path: Path, file: BinaryIO) -> None:
    fcntl.flock(file, fcntl.LOCK_EX)
    with database.snapshot() as tx:
        known, head = seals_of(tx), head_of(tx)
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)  # a last line without an end was torn by a crash
    outside = {one.last_seq: one for one in _parsed(content, path)}
    _require_agreement(outside.values(), known, head, path)
    fresh = [one for one in known if one.last_seq not in outside]
    if fresh:
        file.write("".join(one.line for one in fresh).encode())
        file.flush()
        os.fsync(file.fileno())
        sync_directory(path.parent)


def _require_agreement(outside: Iterable[Seal], known: Sequence[Seal], head: Place, path: Path) -> None:
    inside = {one.last_seq: one.hash for one in known}
    for one in outside:
        if one.last_seq > head.seq:
            raise LogDamaged(
                seq=head.seq,
                sentence=f"the log ends here, but {path} seals event {one.last_seq}: its end is cut off",
            )
        if inside.get(one.last_seq, one.hash) != one.hash:
            raise LogDamaged(seq=one.last_seq, sentence=f"its seal in {path} is of another hash")
