"""The event log: append behind an expected version, in one gapless order, each row chained to the last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from store.codec import decode, encode
from store.database import Row, Tx
from store.errors import ConcurrentAppend, EventIdReused
from store.events import Event, UnknownEvent
from store.ids import new_event_id
from store.layout import COLUMNS, SELECT_EVENT

GENESIS = bytes(32)  # the hash before the first event
_INSERT = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
T = TypeVar("T")
_CHUNK = 500  # parameters of one IN list; SQLite's oldest limit is 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event about to be appended as `version` of its stream, and what it is about."""

    stream: str
    version: int
    event: Event
    event_id: bytes | None = None
    plan: str | None = None
    job: str | None = None
    fit: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
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


def append(
    tx: Tx,
    drafts: Sequence[Draft],
    *,
    actor: str,
    recorded_at: int,
    correlation: str | None = None,
    causation: bytes | None = None,
) -> tuple[Recorded, ...]:
    """Append the drafts in order and return them as recorded.

    The transaction must be a write transaction: alone on the log. Raises ConcurrentAppend when a stream
    is not where the drafts expect it. Ids already in the log are the caller's to ask for first (`already`).
    """
    if not drafts:
        return ()
    _require_versions(tx, drafts)
    head = tx.query("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")
    seq, link = (int(head[0][0]), bytes(head[0][1])) if head else (0, GENESIS)
    rows: list[Row] = []
    for draft in drafts:
        seq += 1
        event = draft.event
        if isinstance(event, UnknownEvent):
            kind, schema_version = event.named, event.version
        else:
            kind, schema_version = event.kind, event.schema_version
        unchained = (
            seq, draft.event_id or new_event_id(), draft.stream, draft.version, kind, schema_version,
            recorded_at, actor, correlation, causation, draft.plan, draft.job, draft.fit, draft.attempt,
            encode(event),
        )  # fmt: skip
        link = chained_hash(link, unchained)
        rows.append((*unchained, link))
    tx.execute_many(_INSERT, rows)
    return tuple(recorded_of(row) for row in rows)


def already(
    tx: Tx, stream: str, kinds: Sequence[str], event_ids: Sequence[bytes]
) -> tuple[Recorded, ...] | None:
    """Return the events recorded before under these ids, or None when none is there: the retry of an append.

    Raises EventIdReused when an id belongs to another event, or only some of them are there.
    """
    found = {recorded.event_id: recorded for recorded in _by_ids(tx, event_ids)}
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


def kind_of(event: Event) -> str:
    """Return an event's kind, also of one this version does not know."""
    return event.named if isinstance(event, UnknownEvent) else event.kind


def stream_version(tx: Tx, stream: str) -> int:
    """Return the version a stream is at, 0 for a stream without events."""
    return int(tx.query("SELECT COALESCE(MAX(version), 0) FROM event WHERE stream = ?", (stream,))[0][0])


def recorded_of(row: Row) -> Recorded:
    """Return a row of the log, its columns in the order of `COLUMNS`, with its payload decoded."""
    return Recorded(
        seq=row[0],
        event_id=bytes(row[1]),
        stream=row[2],
        version=row[3],
        recorded_at=row[6],
        actor=row[7],
        correlation_id=row[8],
        causation_id=None if row[9] is None else bytes(row[9]),
        plan=row[10],
        job=row[11],
        fit=row[12],
        attempt=row[13],
        event=decode(row[4], row[5], row[14]),
        hash=bytes(row[15]),
    )


def all_rows(tx: Tx) -> Iterable[Row]:
    """Yield every row of the log in order."""
    return tx.stream(f"{SELECT_EVENT} ORDER BY seq")


def chained_hash(before: bytes, row: Row) -> bytes:
    """Return sha256 over the hash before and the canonical row without its own hash; 32 bytes."""
    plain = [value.hex() if isinstance(value, bytes | memoryview) else value for value in row[:15]]
    return hashlib.sha256(
        before + json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode()
    ).digest()


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


def _by_ids(tx: Tx, event_ids: Sequence[bytes]) -> Iterator[Recorded]:
    for chunk in _chunks(event_ids):
        marks = ", ".join("?" * len(chunk))
        for row in tx.query(f"{SELECT_EVENT} WHERE event_id IN ({marks})", chunk):
            yield recorded_of(row)


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
