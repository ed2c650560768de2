"""The newest events in words, each with the name of the fit it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.views.event_words import EventTold, event_told
from store.errors import NotFound
from store.reading import Reader
from store.records import EventRow

NAMES_MAX = 50_000  # kept; a fit's name never changes
LOOKED_AT = (400, 4000)  # newest events, for those that are told
SHOWN = 60


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
        found: Sequence[EventRow] = ()
        for look in LOOKED_AT:
            page = self._reader.events(after=max(0, until - look), limit=look, plan=plan)
            found = [event for event in page if event.seq <= until]
            told = [one for one in map(event_told, found) if not one.quiet]
            if len(told) >= SHOWN // 2 or look >= until:
                break
        kept = {one.seq for one in told[-SHOWN:]}
        return self.told(event for event in reversed(found) if event.seq in kept)

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
