"""Under which conditions this host starts fits: enough disk, an open window, plans that do not only fail.

Whatever holds work back is a pause in the log with the host's own actor: `status`, `why` and the claim know
of it, and a person can lift it. Fits that run go on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from daemon.disk_floor import DiskFloor, free_bytes
from daemon.holding import Hold, OwnPauses, actor_of
from daemon.pileups import Pileups
from daemon.settings import Settings
from daemon.timetable import Timetable
from daemon.windows import Windows
from daemon.zones import zone_of
from store.plan import STAGES
from store.plan_store import PlanStore

CONDITIONS = "conditions"
LOOK_SECONDS = 1.0


class Conditions:
    """Looks about once a second whether disk, windows and failures let this host go on."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        timetable: Timetable,
        host: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        free: Callable[[Path], int | None] = free_bytes,
    ) -> None:
        self.live = frozenset(("disk_floor_bytes", "windows", "time_zone", "failures_pause"))
        self._timetable, self._now, self._free = timetable, now, free
        self._pauses = OwnPauses(store, host)
        self._pileups = Pileups(store, actor_of(host), settings.failures_pause)
        self.reload(settings)

    @property
    def disk_low(self) -> bool:
        """Whether there was too little space at the last look: then no plan is taken either."""
        return self._disk.words is not None

    def start(self) -> None:
        """Hold back what must be, before the first fit is claimed."""
        self._timetable.every(LOOK_SECONDS, CONDITIONS)
        self.look()

    def turn(self, rang: frozenset[str]) -> None:
        """Look again when it is time."""
        if CONDITIONS in rang:
            self.look()

    def stop(self) -> None:
        """Lift the host's own pauses: while no daemon is here nobody would."""
        self._pauses.lift()

    def close(self) -> None:
        """Nothing: what is paused stands in the log."""

    def reload(self, settings: Settings) -> None:
        """Go by these settings from the next look on."""
        self._disk = DiskFloor(settings, free=self._free)
        self._windows = Windows(settings.windows, zone_of(settings.time_zone))
        self._closed: dict[str, str] = {}  # stage -> what is said of its closed window, as long as it is
        self._pileups.failures_max = settings.failures_pause

    def look(self) -> None:
        """Look at everything now. Raises StoreError."""
        self._disk.look()
        wanted: dict[str, Hold] = {}
        for stage in STAGES:
            if (low := self._disk.words) is not None:
                wanted[stage] = Hold(condition="disk", words=low)
            elif (closed := self._closed_words(stage)) is not None:
                wanted[stage] = Hold(condition="window", words=closed)
        self._pauses.keep(wanted)
        self._pileups.look()

    def _closed_words(self, stage: str) -> str | None:
        """Return why a stage may not start fits now and until when, the same words all the time."""
        now = self._now()
        if self._windows.is_open(stage, now):
            self._closed.pop(stage, None)
        elif stage not in self._closed:
            opens = self._windows.next_change(stage, now)
            until = "" if opens is None else f"; the next one opens at {opens:%Y-%m-%d %H:%M %Z}"
            self._closed[stage] = f"outside its time windows ({self._windows.words(stage)}){until}"
        return self._closed.get(stage)
