"""What has happened since: events of the log in words, for pages that have those up to some place."""

from __future__ import annotations

from typing import Any

from daemon.views.event_words import EventTold
from daemon.views.words import iso
from daemon.web.messages import EVENTS_MAX, Message, encoded
from daemon.web.ticker import Ticker
from store.reading import Reader

RESET_EVENTS = 100  # the newest, for a page that is too far behind


class News:
    """Reads what happened; for one thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._ticker = reader, Ticker(reader)

    def head(self) -> int:
        """Return the seq of the last event."""
        return self._reader.head_seq()

    def behind(self, after: int, head: int) -> Message:
        """Return the events behind one up to another; of too many the newest, as a new beginning.

        A place below 0 is that of a page which wants none of what was; one beyond the head is of another log.
        Where the log does not reach back that far any more, what it still has is a new beginning as well.
        """
        if after < 0:
            return Message()
        if after > head or head - after > EVENTS_MAX:
            return self._message(max(0, head - RESET_EVENTS), head, reset=True)
        return self._message(after, head, reset=False)

    def close(self) -> None:
        """Close the thread's connection."""
        self._reader.close()

    def _message(self, after: int, head: int, *, reset: bool) -> Message:
        rows = self._reader.events(after=after, limit=EVENTS_MAX)
        is_cut = bool(rows) and rows[0].seq != after + 1
        told = self._ticker.told(row for row in rows if row.seq <= head)
        return Message(events=tuple(encoded(_document(one)) for one in told), reset=reset or is_cut)


def _document(told: EventTold) -> dict[str, Any]:
    return {
        "seq": told.seq,
        "at": iso(told.at),
        "kind": told.kind,
        "about": told.about,
        "words": told.words,
        "plan": told.plan,
        "fit": told.fit,
        "tone": told.tone,
        "quiet": told.quiet,
    }
