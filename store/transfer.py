"""The log as a file that either engine can take in: JSON lines, every hash, id and payload as it is.

The first line is an object: ``format``, ``version``, ``events``, ``head`` (seq, hash), ``log_start`` (seq,
hash, cut_at) or null, ``seals`` (their number), ``cursors`` (name, seq, at and data of each),
``exported_at``. Then one array for each event, its values in the order of the columns of the table `event`;
``event_id``, ``causation_id`` and ``hash`` in hex, ``data`` the exact text of the payload. Then one array
``[first_seq, last_seq, hash, sealed_at]`` for each seal. A name that ends in ``.gz`` is compressed.
Projections follow from the events; leases are not carried.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from store import cursors, rebuilding
from store.chain import Place, followed, head_of, rows_between, start_of
from store.database import Database, Row, Tx
from store.durable import appearing, unwritable
from store.errors import KeepingRefused, LogDamaged
from store.guards import lifted
from store.layout import COLUMNS
from store.moments import iso_utc, moment_of
from store.seals import Seal, SealCheck, seals_of

FORMAT, VERSION = "trainwright-log", 1
CHUNK_ROWS = 5_000  # held in memory at a time
_LEVEL = 3  # of gzip: half the time of the default for a tenth more bytes
_LINE = tuple[
    int, str, str, int, str, int, int, str, str | None, str | None, str | None, str | None, str | None,
    int | None, str, str,
]  # fmt: skip
_SEAL = tuple[int, int, str, int]
_EVENT_LINES, _SEAL_LINES = msgspec.json.Decoder(_LINE), msgspec.json.Decoder(_SEAL)
_WRITER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """What a transfer file holds: so many events, the last of them with this seq and hash."""

    path: Path
    events: int
    head_seq: int
    head_hash: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The first line of a transfer file."""

    start: Place
    cut_at: int | None
    head: Place
    events: int
    seals: int
    cursors: tuple[tuple[str, int, int, str], ...]


def export_log(database: Database, path: Path) -> Transferred:
    """Write the log as of one snapshot to a new file, whole or not at all.

    Raises KeepingRefused, LogDamaged.
    """
    with appearing(path) as partial:
        found = write_log(database, partial, compressed=path.suffix == ".gz")
        return replace(found, path=path)


def write_log(database: Database, path: Path, *, compressed: bool) -> Transferred:
    """Write the log as of one snapshot, its rows followed along the chain; raises LogDamaged."""
    with database.snapshot() as tx, _writing(path, compressed=compressed) as file:
        start, head = start_of(tx), head_of(tx)
        seals, counted = seals_of(tx), 0
        file.write(_header_line(tx, start, head, seals))
        rows = followed(rows_between(tx, 0, head.seq), start)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            file.write(_WRITER.encode_lines([_plain(row) for row in chunk]))
            counted += len(chunk)
        file.write(_WRITER.encode_lines([_plain_seal(one) for one in seals]))
    return Transferred(
        path=path,
        events=counted,
        head_seq=head.seq,
        head_hash=head.hash.hex(),
        size_bytes=path.stat().st_size,
    )


def import_log(database: Database, path: Path) -> Transferred:
    """Take a transfer file into an empty log, in one transaction, and fold its projections.

    Every row is followed along the chain before it is written. Raises KeepingRefused (the log has events,
    the file is no transfer file), LogDamaged at the first row that does not fit; then nothing is kept.
    """
    with _reading(path) as lines, database.transaction() as tx:
        _require_empty(tx, database.url)
        header = _header(next(lines, b""), path)
        if tx.engine == "postgresql":
            # The guard plans its query once, on the empty table, and would scan all of it for each row.
            tx.execute("SET LOCAL enable_seqscan = off")
        if header.cut_at is None:
            _insert(tx, _followed_chunks(lines, header, path))
        else:
            row = (header.start.seq, header.start.hash, header.cut_at)
            tx.execute("INSERT INTO log_start (seq, hash, cut_at) VALUES (?, ?, ?)", row)
            with lifted(tx, "event_gapless"):  # the first seq and the first versions are not 1
                _insert(tx, _followed_chunks(lines, header, path))
        if tx.query("SELECT last_seq FROM seal LIMIT 1"):
            tx.execute("DELETE FROM seal")
        tx.execute_many(
            "INSERT INTO seal (first_seq, last_seq, hash, sealed_at) VALUES (?, ?, ?, ?)",
            [(one.first_seq, one.last_seq, one.hash, one.sealed_at) for one in _seals(lines, header, path)],
        )
        # Without them people would not hear of what they were not told yet.
        for name, seq, at, data in header.cursors:
            cursors.write(tx, name, seq=seq, data=msgspec.json.decode(data), now=at)
        rebuilding.rebuild(tx)
    return _transferred(path, header)


def check_transfer(path: Path, *, outside: Sequence[Seal] = ()) -> Transferred:
    """Read a whole transfer file back, follow its chain, and hold it against seals.

    Raises KeepingRefused, LogDamaged.
    """
    with _reading(path) as lines:
        header = _header(next(lines, b""), path)
        beside = SealCheck(outside, header.start, where="outside the database")
        for chunk in _followed_chunks(lines, header, path):
            for row in chunk:
                beside.see(row)
        if outside:
            beside.end(header.head.seq)
        for problem in beside.problems:
            raise KeepingRefused(what=problem, where=str(path), fix="See all: trainwright db verify")
        for _ in _seals(lines, header, path):
            pass
    return _transferred(path, header)


def is_transfer(path: Path) -> bool:
    """Return whether a file begins as a transfer file does."""
    try:
        with _reading(path) as lines:
            _header(next(lines, b""), path)
    except KeepingRefused:
        return False
    return True


def _transferred(path: Path, header: _Header) -> Transferred:
    return Transferred(
        path=path,
        events=header.events,
        head_seq=header.head.seq,
        head_hash=header.head.hash.hex(),
        size_bytes=path.stat().st_size,
    )


def _header_line(tx: Tx, start: Place, head: Place, seals: Sequence[Seal]) -> bytes:
    cut = tx.query("SELECT cut_at FROM log_start WHERE seq = ?", (start.seq,))
    record = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": iso_utc(moment_of(tx.now())),
        "events": head.seq - start.seq,
        "head": {"seq": head.seq, "hash": head.hash.hex()},
        "log_start": {"seq": start.seq, "hash": start.hash.hex(), "cut_at": int(cut[0][0])} if cut else None,
        "seals": len(seals),
        "cursors": tx.query("SELECT name, seq, at, data FROM cursor ORDER BY name"),
        "columns": COLUMNS,
    }
    return _WRITER.encode(record) + b"\n"


def _header(line: bytes, path: Path) -> _Header:
    """Return the header of a file; raises KeepingRefused for any other first line."""
    try:
        record: Mapping[str, Any] = msgspec.json.decode(line)
        if record["format"] != FORMAT or record["version"] != VERSION:
            raise KeepingRefused(
                what=f"this is version {record['version']} of the format {record['format']}",
                where=str(path),
                fix=f"This Trainwright reads version {VERSION} of {FORMAT}: use the one that wrote it",
            )
        cut = record["log_start"]
        return _Header(
            start=_place(cut) if cut else Place(seq=0, hash=bytes(32)),
            cut_at=int(cut["cut_at"]) if cut else None,
            head=_place(record["head"]),
            events=int(record["events"]),
            seals=int(record["seals"]),
            cursors=msgspec.convert(record.get("cursors", ()), tuple[tuple[str, int, int, str], ...]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise KeepingRefused(
            what="this is no export of a log: its first line is not the header",
            where=str(path),
            fix="Name a file that trainwright db export wrote",
        ) from error


def _place(record: Mapping[str, Any]) -> Place:
    return Place(seq=int(record["seq"]), hash=bytes.fromhex(record["hash"]))


def _plain(row: Row) -> list[Any]:
    """Return a row as its line has it."""
    plain = list(row)
    plain[1], plain[15] = bytes(row[1]).hex(), bytes(row[15]).hex()
    plain[9] = None if row[9] is None else bytes(row[9]).hex()
    return plain


def _plain_seal(seal: Seal) -> list[Any]:
    return [seal.first_seq, seal.last_seq, seal.hash.hex(), seal.sealed_at]


def _row(line: bytes) -> Row:
    """Return the row of a line; raises ValueError."""
    row = list(_EVENT_LINES.decode(line))
    row[1], row[15] = bytes.fromhex(cast("str", row[1])), bytes.fromhex(cast("str", row[15]))
    row[9] = None if row[9] is None else bytes.fromhex(cast("str", row[9]))
    return tuple(row)


def _rows(lines: Iterator[bytes], header: _Header, path: Path) -> Iterator[Row]:
    """Yield as many rows as the header says; raises LogDamaged where a line is missing or no row."""
    for number in range(header.events):
        seq = header.start.seq + 1 + number
        line = next(lines, b"")
        if not line:
            raise LogDamaged(seq=seq, sentence=f"{path} ends before it: the file was cut off")
        try:
            yield _row(line)
        except ValueError as error:
            raise LogDamaged(
                seq=seq, sentence=f"its line {number + 2} in {path} is no row of a log"
            ) from error


def _followed_chunks(lines: Iterator[bytes], header: _Header, path: Path) -> Iterator[list[Row]]:
    """Yield the rows in chunks, each followed along the chain up to the head that the header names."""
    rows, last = followed(_rows(lines, header, path), header.start), header.start
    while chunk := list(islice(rows, CHUNK_ROWS)):
        last = Place(seq=chunk[-1][0], hash=chunk[-1][15])
        yield chunk
    if last != header.head:
        raise LogDamaged(seq=last.seq, sentence=f"the header of {path} names another last event")


def _seals(lines: Iterator[bytes], header: _Header, path: Path) -> Iterator[Seal]:
    for number in range(header.seals):
        try:
            first, last, link, at = _SEAL_LINES.decode(next(lines, b""))
            yield Seal(first_seq=first, last_seq=last, hash=bytes.fromhex(link), sealed_at=at)
        except ValueError as error:
            raise LogDamaged(
                seq=header.head.seq, sentence=f"line {header.events + 2 + number} of {path} is no seal"
            ) from error


def _insert(tx: Tx, chunks: Iterator[list[Row]]) -> None:
    for chunk in chunks:
        tx.insert("event", COLUMNS, chunk)


def _require_empty(tx: Tx, url: str) -> None:
    head = head_of(tx)
    if head.seq:
        raise KeepingRefused(
            what=f"the log there has events already (up to {head.seq:,})",
            where=url,
            fix="Import only into an empty log; to replace a log: trainwright db restore FILE --force",
        )


@contextmanager
def _writing(path: Path, *, compressed: bool) -> Iterator[BinaryIO]:
    """Open a file to write; the time of writing is not part of a compressed one."""
    with path.open("wb") as plain:
        if not compressed:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=_LEVEL, mtime=0, filename="") as packed:
            buffered = io.BufferedWriter(cast("Any", packed), 1 << 20)
            yield cast("BinaryIO", buffered)
            buffered.flush()


@contextmanager
def _reading(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a file, compressed or not, and yield its lines; raises KeepingRefused, LogDamaged."""
    try:
        with path.open("rb") as plain:
            packed = plain.peek(2)[:2] == b"\x1f\x8b"
            yield iter(gzip.GzipFile(fileobj=plain, mode="rb") if packed else plain)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise KeepingRefused(
            what=f"the file is damaged: {error}", where=str(path), fix="Take another copy of it"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
