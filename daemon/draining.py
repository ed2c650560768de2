"""A host that drains: it claims nothing more, and gives back what it runs where that is asked for.

That it drains is a fact of the log, and the claim itself goes by it; here it is only seen, so that the status
tells of it, no claim is tried in vain, and fits are asked to save their state and stop. What is given back
goes on elsewhere from its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from daemon.host import Host
from daemon.settings import Settings
from daemon.views.words import counted
from store.errors import NotFound
from store.plan_store import PlanStore
from store.records import HostRow

log = structlog.get_logger("draining")

DRAINING = "draining"
LOOK_SECONDS = 1.0


class Draining:
    """Looks about once a second whether this host drains, when anything happened in the log."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        host: Host,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live = frozenset({"stop_seconds"})
        self._settings, self._store, self._host, self._clock = settings, store, host, clock
        self._seen_seq = -1
        self._row: HostRow | None = None
        self._end_at: float | None = None  # when fits that were asked to stop are ended

    @property
    def words(self) -> str | None:
        """What the status says of it; None where the host claims."""
        row = self._row
        if row is None:
            return None
        if row.removed_at is not None:
            return "removed from the event log: it claims nothing until its daemon is started again"
        running = len(self._host.dispatcher.running)
        left = f"{counted(running, 'fit')} to end" if running else "nothing runs here any more"
        return f"draining{f' ({row.draining})' if row.draining else ''}: {left}"

    def start(self) -> None:
        """See whether it drains since before this start."""
        self._host.timetable.every(LOOK_SECONDS, DRAINING)
        self.look()

    def turn(self, rang: frozenset[str]) -> None:
        """Look again when it is time."""
        if DRAINING in rang:
            self.look()

    def stop(self) -> None:
        """Nothing: whether it drains stands in the log."""

    def close(self) -> None:
        """Nothing to let go of."""

    def reload(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self._settings = settings

    def look(self) -> None:
        """See how it stands, and end what was asked to stop and did not. Raises StoreError."""
        head = self._store.head_seq()
        if head != self._seen_seq:
            self._see(self._known())
            self._seen_seq = head
        if self._end_at is not None and self._clock() >= self._end_at:
            self._end_at = None
            if ended := self._host.dispatcher.end_all():
                log.warning("fits did not stop in time and were ended", fits=ended)

    def _known(self) -> HostRow | None:
        """Return what the log says of this host where it claims nothing; None where it does."""
        try:
            row = self._store.reading.host(self._host.identity.host)
        except NotFound:
            return None
        return row if row.draining is not None or row.removed_at is not None else None

    def _see(self, row: HostRow | None) -> None:
        before, self._row = self._row, row
        self._host.dispatcher.is_draining = row is not None
        if row is None:
            self._end_at = None
            if before is not None:
                log.info("this host claims again")
            return
        if before is None:
            log.warning(
                "this host claims nothing more", reason=row.draining, removed=row.removed_at is not None
            )
        if row.give_back and (before is None or not before.give_back):
            asked = self._host.dispatcher.give_back(
                f"the host drains{f': {row.draining}' if row.draining else ''}"
            )
            if asked:
                log.info("fits were asked to save their state and stop", fits=asked)
            self._end_at = self._clock() + self._settings.stop_seconds if asked else None
