"""How far a channel has told the event log: a small file that outlives the daemon."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from daemon.runner import write_json
from store.moments import iso_utc, parsed_utc
from store.reading import Reader

log = structlog.get_logger("telling")


@dataclass(slots=True)
class Cursor:
    """The number of the last event that was told or needs no telling, and when each kind was told last."""

    path: Path
    seq: int
    told_at: dict[str, datetime] = field(default_factory=dict)
    saved_seq: int = -1

    def save(self, reader: Reader) -> None:
        """Write the file, whole or not at all, with the id of the event: by it the log is known again.

        A full disk is told, and costs a repetition after a restart.

        Raises:
            StoreError: the event log does not answer.
        """
        document = {
            "v": 1,
            "seq": self.seq,
            "event": _id_at(self.seq, reader),
            "told_at": {kind: iso_utc(at) for kind, at in self.told_at.items()},
        }
        try:
            write_json(self.path, document)
        except OSError as error:
            log.warning("what people were told is not noted", path=str(self.path), cause=str(error))
            return
        self.saved_seq = self.seq


def open_cursor(path: Path, reader: Reader, *, begin: int | None = None) -> Cursor:
    """Return the cursor of a file; a new one, behind the event `begin`, where there is none.

    So it is where the file is of another log. None begins at the log's end.

    Raises:
        StoreError: the event log does not answer.
    """
    known, event_id = _read(path) or (None, None)
    if known is not None and _is_of(known.seq, event_id, reader):
        return known
    if known is not None:
        since = "from here on" if begin is None else "all of it"
        log.warning(f"the event log is another one than before; it is told {since}", was=known.seq)
    cursor = Cursor(path, reader.head_seq() if begin is None else begin)
    cursor.save(reader)
    return cursor


def _read(path: Path) -> tuple[Cursor, str | None] | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        told_at = {str(kind): parsed_utc(at) for kind, at in said["told_at"].items()}
        return Cursor(path, int(said["seq"]), told_at, int(said["seq"])), said["event"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the note of what people were told cannot be read", path=str(path), cause=str(error))
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
