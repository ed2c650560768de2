"""The event log: append behind an expected version, in one gapless order, each row chained to the last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, TypeVar

import msgspec

from store.codec import decode, encode
from store.database import Row, Statement, Tx
from store.errors import ConcurrentAppend, EventIdReused
from store.events import Event, UnknownEvent
from store.ids import new_event_id, new_event_ids
from store.layout import COLUMNS, SELECT_EVENT

GENESIS = bytes(32)  # the hash before the first event
HEAD = "(SELECT MAX(seq) FROM event), (SELECT hash FROM event WHERE seq = (SELECT MAX(seq) FROM event))"
_PLACE = Struct(">qq")
_CONTENT = msgspec.json.Encoder()
_WORD = (*COLUMNS[1:15], "digest")
T = TypeVar("T")
_CHUNK = 500  # parameters of one IN list; SQLite's oldest limit is 999


class Draft(NamedTuple):
    """An event about to be appended as `version` of its stream, and what it is about.

    A `correlation` of its own stands over that of the append.
    """

    stream: str
    version: int
    event: Event
    event_id: bytes | None = None
    plan: str | None = None
    job: str | None = None
    fit: str | None = None
    attempt: int | None = None
    correlation: str | None = None


class Recorded(NamedTuple):
    """An event of the log; `recorded_at` is in microseconds since the epoch."""

    seq: int
    event_id: bytes
    stream: str
    version: int
    recorded_at: int
    actor: str
    correlation_id: str | None
    causation_id: bytes | None
    plan: str | None
    job: str | None
    fit: str | None
    attempt: int | None
    event: Event
    hash: bytes


class Head(NamedTuple):
    """The end of the log: its last event's seq and hash."""

    seq: int
    hash: bytes


GENESIS_HEAD = Head(0, GENESIS)


def head_of(found: Sequence[object]) -> Head:
    """Return the end of the log from the two values that `HEAD` asks for."""
    seq, link = found
    return GENESIS_HEAD if seq is None else Head(int(str(seq)), bytes(link))  # type: ignore[call-overload]


def append(
    tx: Tx,
    drafts: Sequence[Draft],
    *,
    actor: str,
    recorded_at: int,
    correlation: str | None = None,
    causation: bytes | None = None,
) -> tuple[int, ...]:
    """Append the drafts in order and return their seqs.

    The transaction must be a write transaction: alone on the log. Raises ConcurrentAppend when a stream
    is not where the drafts expect it. Ids already in the log are the caller's to ask for first (`already`).
    """
    if not drafts:
        return ()
    _require_versions(tx, drafts)
    head = head_of(tx.query(f"SELECT {HEAD}")[0])
    rows = extend(
        tx,
        head,
        drafts,
        actor=actor,
        recorded_at=recorded_at,
        correlation=correlation,
        causation=causation,
    )
    return tuple(row[0] for row in rows)


def extend(
    tx: Tx,
    head: Head,
    drafts: Sequence[Draft],
    *,
    actor: str,
    recorded_at: int,
    correlation: str | None = None,
    causation: bytes | None = None,
) -> list[Row]:
    """Append drafts whose versions follow from what this transaction has read; return their rows.

    The database refuses a seq or version that is not the next one, so a wrong draft cannot get in.
    """
    if not drafts:
        return []
    seq, link = head
    rows: list[Row] = []
    for draft, fresh_id in zip(drafts, new_event_ids(len(drafts)), strict=True):
        seq += 1
        content = _content(draft, fresh_id, actor, correlation, causation)
        digest = sha256(_CONTENT.encode(content)).digest()
        link = sha256(link + digest + _PLACE.pack(seq, recorded_at)).digest()
        rows.append((seq, *content[:5], recorded_at, *content[5:], link))
    tx.insert("event", COLUMNS, rows)
    return rows


class Unsent:
    """Words that go into the log with the commit, where the database numbers and chains them.

    Their `seq` counts downwards from -1 until then: `first_seq` turns it into the real one.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self.first_seq: int | None = None

    def add(
        self, drafts: Sequence[Draft], *, actor: str, recorded_at: int, correlation: str | None = None
    ) -> tuple[Recorded, ...]:
        """Take drafts and return them as they will be recorded, but for seq and hash."""
        taken = []
        for draft in drafts:
            content = _content(draft, new_event_id(), actor, correlation, None)
            row = (-len(self._rows) - 1, *content[:5], recorded_at, *content[5:])
            self._rows.append(row)
            taken.append(recorded_of((*row, b"")))
        return tuple(taken)

    def send(self, tx: Tx) -> None:
        """Leave the words to the commit; from then on their lock is held."""
        words = [
            dict(zip(_WORD, (*_hexed(row), "\\x" + _digest(row).hex()), strict=True)) for row in self._rows
        ]
        if words:
            tx.later("SELECT event_append(?)", (_CONTENT.encode(words).decode(),))

    def receive(self, answers: Sequence[Sequence[Row]], *, behind: int = 0) -> None:
        """Take the number of the first word from the answers that ended with so many and the commit's."""
        if self._rows:
            self.first_seq = int(answers[-2 - behind][0][0])

    def settled(self, seq: int) -> int:
        """Return the real seq of a word."""
        return seq if seq > 0 or self.first_seq is None else self.first_seq - seq - 1


def _content(
    draft: Draft, fresh_id: bytes, actor: str, correlation: str | None, causation: bytes | None
) -> Row:
    """Return the columns of an event that its hash covers as its content: all but its place and the hash."""
    stream, version, event, event_id, plan, job, fit, attempt, own = draft
    if isinstance(event, UnknownEvent):
        kind, schema_version = event.named, event.version
    else:
        kind, schema_version = event.kind, event.schema_version
    return (
        event_id or fresh_id, stream, version, kind, schema_version, actor, own or correlation, causation,
        plan, job, fit, attempt, encode(event),
    )  # fmt: skip


def _hexed(row: Row) -> list[object]:
    """Return a row without its seq, bytes as Postgres reads them in a text."""
    return ["\\x" + value.hex() if isinstance(value, bytes) else value for value in row[1:15]]


def already(
    tx: Tx, stream: str, kinds: Sequence[str], event_ids: Sequence[bytes]
) -> tuple[Recorded, ...] | None:
    """Return the events recorded before under these ids, or None when none is there: the retry of an append.

    Raises EventIdReused when an id belongs to another event, or only some of them are there.
    """
    found = {recorded.event_id: recorded for recorded in by_ids(tx, event_ids)}
    if not found:
        return None
    answer = []
    for event_id, kind in zip(event_ids, kinds, strict=True):
        recorded = found.get(event_id)
        if recorded is None or recorded.stream != stream or kind_of(recorded.event) != kind:
            first = recorded or next(iter(found.values()))
            raise EventIdReused(event_id=first.event_id, seq=first.seq)
        answer.append(recorded)
    return tuple(answer)


def by_event_id(event_id: bytes) -> Statement:
    """Return the question for the event of an id."""
    return f"{SELECT_EVENT} WHERE event_id = ?", (event_id,)


def same_event(found: Sequence[Row], stream: str, kind: str) -> Recorded | None:
    """Return the event that `by_event_id` found, None for none; raises EventIdReused for another one."""
    if not found:
        return None
    recorded = recorded_of(found[0])
    if recorded.stream != stream or kind_of(recorded.event) != kind:
        raise EventIdReused(event_id=recorded.event_id, seq=recorded.seq)
    return recorded


def kind_of(event: Event) -> str:
    """Return an event's kind, also of one this version does not know."""
    return event.named if isinstance(event, UnknownEvent) else event.kind


def version_of(stream: str) -> Statement:
    """Return the question for the version a stream is at; the answer is 0 for a stream without events."""
    return "SELECT COALESCE(MAX(version), 0) FROM event WHERE stream = ?", (stream,)


def recorded_of(row: Row) -> Recorded:
    """Return a row of the log, its columns in the order of `COLUMNS`, with its payload decoded."""
    (
        seq, event_id, stream, version, kind, schema_version, recorded_at, actor,
        correlation_id, causation_id, plan, job, fit, attempt, data, link,
    ) = row  # fmt: skip
    return Recorded(
        seq, event_id, stream, version, recorded_at, actor, correlation_id, causation_id, plan, job, fit,
        attempt, decode(kind, schema_version, data), link,
    )  # fmt: skip


def stream_version(tx: Tx, stream: str) -> int:
    """Return the version a stream is at, 0 for a stream without events."""
    return int(tx.query(*version_of(stream))[0][0])


def all_rows(tx: Tx, *, after: int = 0) -> Iterable[Row]:
    """Yield every row of the log in order, or those behind an event."""
    return tx.stream(f"{SELECT_EVENT} WHERE seq > ? ORDER BY seq", (after,))


def chained_hash(before: bytes, row: Row) -> bytes:
    """Return the hash of a row behind the hash before it; 32 bytes.

    It is sha256 over the hash before, sha256 of the row's content, and its place: seq and recorded_at as
    eight bytes each. The content is the compact JSON array of all other columns, bytes in base64.
    """
    return sha256(before + _digest(row) + _PLACE.pack(row[0], row[6])).digest()


def _digest(row: Row) -> bytes:
    """Return the hash of a row's content, which is all but its place."""
    return sha256(_CONTENT.encode((*row[1:6], *row[7:15]))).digest()


def first_chained_hash(before: bytes, row: Row) -> bytes:
    """Return the hash of a row as version 0.1 made it, for the rows that it wrote."""
    plain = [value.hex() if isinstance(value, bytes | memoryview) else value for value in row[:15]]
    return sha256(before + json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode()).digest()


def link_fits(before: bytes, row: Row) -> bool:
    """Return whether a row's own hash is the right one behind the hash before it, in either form."""
    link = bytes(row[15])
    return link == chained_hash(before, row) or link == first_chained_hash(before, row)


def _require_versions(tx: Tx, drafts: Sequence[Draft]) -> None:
    """Raise ConcurrentAppend unless every stream is at the version before its first draft."""
    expected: dict[str, int] = {}
    for draft in drafts:
        expected.setdefault(draft.stream, draft.version - 1)
    found = _versions(tx, list(expected))
    for stream, version in expected.items():
        if found.get(stream, 0) != version:
            raise ConcurrentAppend(stream=stream, expected=version, found=found.get(stream, 0))


def _versions(tx: Tx, streams: Sequence[str]) -> Mapping[str, int]:
    versions: dict[str, int] = {}
    for chunk in _chunks(streams):
        marks = ", ".join("?" * len(chunk))
        sql = f"SELECT stream, MAX(version) FROM event WHERE stream IN ({marks}) GROUP BY stream"
        versions.update((str(stream), int(version)) for stream, version in tx.query(sql, chunk))
    return versions


def by_ids(tx: Tx, event_ids: Sequence[bytes]) -> Iterator[Recorded]:
    """Yield the events of these ids that the log has, in no order."""
    for chunk in _chunks(event_ids):
        marks = ", ".join("?" * len(chunk))
        for row in tx.query(f"{SELECT_EVENT} WHERE event_id IN ({marks})", chunk):
            yield recorded_of(row)


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
