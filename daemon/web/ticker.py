"""The newest events in words, each with the name of the fit it is about."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.views.event_words import QUIET, EventTold, event_told
from store.errors import NotFound
from store.events import EVENT_TYPES
from store.reading import Reader
from store.records import EventRow

NAMES_MAX = 50_000  # kept; a fit's name never changes
LOOKED_AT = 100_000  # newest events, for those that are told
SHOWN = 60
LOUD = frozenset(kind.kind for kind in EVENT_TYPES) - QUIET


class Ticker:
    """Tells events; shared by all threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._names: dict[str, str | None] = {}

    def told(self, events: Iterable[EventRow]) -> list[EventTold]:
        """Return events in words."""
        return [event_told(event, self._name(event.fit)) for event in events]

    def newest(self, until: int, *, plan: str | None = None) -> list[EventTold]:
        """Return the newest events up to a seq that are worth a line, the newest first."""
        found = self._reader.newest_events(
            LOUD, after=max(0, until - LOOKED_AT), until=until, plan=plan, limit=SHOWN
        )
        return self.told(reversed(found))

    def _name(self, fit_id: str | None) -> str | None:
        if fit_id is None:
            return None
        if fit_id not in self._names:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            try:
                self._names[fit_id] = self._reader.fit(fit_id).name
            except NotFound:  # its plan was archived
                self._names[fit_id] = None
        return self._names[fit_id]
