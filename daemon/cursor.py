"""How far a channel has told the event log: a bookmark beside the log, which outlives daemon and host."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from store.errors import StoreError
from store.moments import iso_utc, parsed_utc
from store.plan_store import PlanStore
from store.reading import Reader

log = structlog.get_logger("telling")


@dataclass(slots=True)
class Cursor:
    """The number of the last event that was told or needs no telling, and when each kind was told last."""

    name: str
    seq: int
    told_at: dict[str, datetime] = field(default_factory=dict)
    saved_seq: int = -1

    def save(self, store: PlanStore) -> None:
        """Write it down, with the id of the event: by it the log is known again.

        A log that takes no word, as on a full disk, is told of; it costs a repetition after a restart.
        """
        try:
            told_at = {kind: iso_utc(at) for kind, at in self.told_at.items()}
            known = {"v": 1, "event": _id_at(self.seq, store.reading), "told_at": told_at}
            store.bookmark(self.name, seq=self.seq, data=known)
        except StoreError as error:
            log.warning("what people were told is not noted", name=self.name, cause=str(error))
            return
        self.saved_seq = self.seq


def open_cursor(name: str, store: PlanStore, *, begin: int | None = None, file: Path | None = None) -> Cursor:
    """Return the cursor of a name; a new one, behind the event `begin`, where there is none.

    So it is where it is of another log. None begins at the log's end. Earlier versions kept it in a `file` of
    each host, which is taken in once.

    Raises:
        StoreError: the event log does not answer.
    """
    reader = store.reading
    known, event_id = _kept(name, reader) or (None, None)
    if known is None and file is not None:
        known, event_id = _taken_in(name, file) or (None, None)
    cursor = known if known is not None and _is_of(known.seq, event_id, reader) else None
    if cursor is None:
        if known is not None:
            since = "from here on" if begin is None else "all of it"
            log.warning(f"the event log is another one than before; it is told {since}", was=known.seq)
        cursor = Cursor(name, reader.head_seq() if begin is None else begin)
    if cursor.saved_seq < 0:
        cursor.save(store)
    if file is not None and cursor.saved_seq >= 0:
        with suppress(OSError):  # then it is looked at, and passed over, next time too
            file.unlink(missing_ok=True)
    return cursor


def _kept(name: str, reader: Reader) -> tuple[Cursor, str | None] | None:
    found = reader.bookmark(name)
    if found is None:
        return None
    return _parsed(name, {**found.data, "seq": found.seq}, saved_seq=found.seq)


def _taken_in(name: str, file: Path) -> tuple[Cursor, str | None] | None:
    try:
        return _parsed(name, json.loads(file.read_text(encoding="utf-8")), saved_seq=-1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("the note of what people were told cannot be read", path=str(file), cause=str(error))
        return None


def _parsed(name: str, said: Any, *, saved_seq: int) -> tuple[Cursor, str | None] | None:  # noqa: ANN401 - any JSON
    try:
        told_at = {str(kind): parsed_utc(at) for kind, at in said["told_at"].items()}
        return Cursor(name, int(said["seq"]), told_at, saved_seq), said["event"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the note of what people were told cannot be read", name=name, cause=str(error))
        return None


def _is_of(seq: int, event_id: str | None, reader: Reader) -> bool:
    """Whether the log has that event at its place; one that was retired since cannot be asked for."""
    if seq > reader.head_seq():
        return False
    found = _id_at(seq, reader)
    return None in (event_id, found) or event_id == found


def _id_at(seq: int, reader: Reader) -> str | None:
    """Return the id of an event, None where the log does not begin or reach so far."""
    found = reader.events(after=seq - 1, limit=1)
    return found[0].event_id if found and found[0].seq == seq else None
