"""Plans whose panel is not on this host wait for it, instead of failing one fit after the other.

Results may have been moved by halves, a cache cleared, a plan accepted by another host of the same event log.
Fits of such a plan could only fail for good. So this host pauses the plan for itself and says what is
missing; it lifts the pause when the panel is there.
"""

from __future__ import annotations

import structlog

from daemon.dispatcher import panel_of
from daemon.holding import actor_of
from daemon.settings import Settings
from daemon.timetable import Timetable
from store.plan_store import PlanStore
from store.records import PauseRow, PlanRow

PANELS = "panels"
LOOK_SECONDS = 1.0
_WORDS = "its panel is not on this host"

log = structlog.get_logger("panels")


class MissingPanels:
    """Looks at the panels of all open plans, at the start and whenever a plan came or went."""

    def __init__(self, settings: Settings, store: PlanStore, timetable: Timetable, host: str) -> None:
        self._settings, self._store, self._timetable, self._host = settings, store, timetable, host
        self._actor = actor_of(host)
        self._seen_seq = -1  # nothing is looked at again until something happens, or while a plan waits

    def start(self) -> None:
        """Look before the first fit is claimed, and be rung for regularly."""
        self._timetable.every(LOOK_SECONDS, PANELS)
        self.look()

    def turn(self, rang: frozenset[str]) -> None:
        """Look again when it is time."""
        if PANELS in rang:
            self.look()

    def stop(self) -> None:
        """Nothing: what is missing is missing for the next daemon too."""

    def close(self) -> None:
        """Nothing is held."""

    def look(self) -> None:
        """Pause the plans whose panel is missing, lift the pauses of the others. Raises StoreError."""
        head, ours = self._store.head_seq(), self._pauses()
        if head == self._seen_seq and not ours:
            return
        self._seen_seq = head
        for row in self._store.reading.plans():
            if not row.open and row.id not in ours:
                continue
            missing = row.open and self._is_missing(row)
            if missing and row.id not in ours:
                self._pause(row)
            elif row.id in ours and not missing and ours[row.id].actor == self._actor:
                self._store.resume(
                    plan=row.id, host=self._host, reason="its panel is there", actor=self._actor
                )
                log.info("the panel of a plan is there again", plan=row.id)

    def _pauses(self) -> dict[str, PauseRow]:
        """Return the pauses of a whole plan on this host, whoever they are by."""
        return {
            pause.plan: pause
            for pause in self._store.reading.pauses()
            if pause.plan is not None and pause.host == self._host and pause.stage is None
        }

    def _is_missing(self, row: PlanRow) -> bool:
        return bool(row.data.get("panel_key")) and not panel_of(row.data, self._settings).is_dir()

    def _pause(self, row: PlanRow) -> None:
        path = panel_of(row.data, self._settings)
        reason = f"{_WORDS} ({path}); hand the plan in again to have it made anew, or put it back"
        self._store.pause(plan=row.id, host=self._host, reason=reason, actor=self._actor)
        log.warning("a plan waits for its panel", plan=row.id, path=str(path))
