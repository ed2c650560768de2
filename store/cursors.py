"""How far a duty has come with the log, kept beside it: whichever host has the duty next goes on from there.

A bookmark is no event: it says nothing of what has happened, and is overwritten. It is written beside other
writers, moves no head and wakes nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.database import Database, Row, Tx
from store.moments import moment_of

_COLUMNS = "name, seq, at, data"
_WRITE = f"""
INSERT INTO cursor ({_COLUMNS}) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, at = excluded.at, data = excluded.data
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """How far a duty has come.

    Attributes:
        name: of the duty.
        seq: the last event it has done with.
        at: when this was written.
        data: what else the duty wants to know again; values of JSON.
    """

    name: str
    seq: int
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


class CursorReading:
    """Questions about bookmarks; the first part of a `Reader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bookmark(self, name: str) -> Bookmark | None:
        """Return a bookmark, None where none was ever written."""
        with self._database.snapshot() as tx:
            found = tx.query(f"SELECT {_COLUMNS} FROM cursor WHERE name = ?", (name,))
        return _bookmark(found[0]) if found else None

    def bookmarks(self, prefix: str = "") -> tuple[Bookmark, ...]:
        """Return all bookmarks whose names begin with a text, by name."""
        with self._database.snapshot() as tx:
            found = tx.query(f"SELECT {_COLUMNS} FROM cursor ORDER BY name")
        return tuple(_bookmark(row) for row in found if str(row[0]).startswith(prefix))


def write(tx: Tx, name: str, *, seq: int, data: Mapping[str, Any], now: int) -> None:
    """Write a bookmark over the one of its name; `now` in microseconds since the epoch."""
    tx.execute(_WRITE, (name, seq, now, json.dumps(data, sort_keys=True)))


def _bookmark(row: Row) -> Bookmark:
    name, seq, at, data = row
    known = json.loads(data)
    return Bookmark(
        name=str(name),
        seq=int(seq),
        at=moment_of(int(at)),
        data=known if isinstance(known, Mapping) else {},
    )
