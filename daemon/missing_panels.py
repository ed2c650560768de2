"""Plans whose panel is not on this host wait for it, instead of failing one fit after the other.

Results may have been moved by halves, a cache cleared, a plan accepted by another host of the same event log.
Where panels are kept for all hosts it is fetched from there, and what is here is put there for the others.
Else fits of such a plan could only fail for good. So this host pauses the plan for itself and says what is
missing; it lifts the pause when the panel is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from daemon.artefacts.keeper import Keeper
from daemon.dispatcher import panel_of
from daemon.holding import actor_of
from daemon.settings import Settings
from daemon.timetable import Timetable
from store.plan_store import PlanStore
from store.records import PauseRow

PANELS = "panels"
LOOK_SECONDS = 1.0
TIDY, TIDY_SECONDS = "tidy", 1800.0
_WORDS = "its panel is not on this host"

log = structlog.get_logger("panels")


class MissingPanels:
    """Looks at the panels of all open plans, at the start and every second."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        timetable: Timetable,
        host: str,
        *,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self._settings, self._store, self._timetable, self._host = settings, store, timetable, host
        self._actor = actor_of(host)
        self._data: dict[str, Mapping[str, Any]] = {}  # of the open plans

    def start(self) -> None:
        """Look before the first fit is claimed, and be rung for regularly."""
        self._timetable.every(LOOK_SECONDS, PANELS)
        if self._keeper is not None:
            self._timetable.every(TIDY_SECONDS, TIDY)
        self.look()

    def turn(self, rang: frozenset[str]) -> None:
        """Look again when it is time."""
        if PANELS in rang:
            self.look()
        if TIDY in rang and self._keeper is not None:
            self._keeper.tidy()

    def stop(self) -> None:
        """Nothing: what is missing is missing for the next daemon too."""

    def close(self) -> None:
        """Nothing is held."""

    def look(self) -> None:
        """Pause the plans whose panel is missing, lift the pauses of the others. Raises StoreError."""
        ours, wanted = self._pauses(), self._store.reading.active_plans()
        self._data = {plan: self._data.get(plan) or self._data_of(plan) for plan in wanted}
        for plan, data in self._data.items():
            trouble = self._trouble(data)
            if plan not in ours and trouble is not None:
                self._pause(plan, data, trouble)
        for plan, pause in ours.items():
            if pause.actor == self._actor and self._is_here(self._data.get(plan, {})):
                self._store.resume(plan=plan, host=self._host, reason="its panel is there", actor=self._actor)
                log.info("the panel of a plan is there again", plan=plan)

    def _pauses(self) -> dict[str, PauseRow]:
        """Return the pauses of a whole plan on this host, whoever they are by."""
        return {
            pause.plan: pause
            for pause in self._store.reading.pauses()
            if pause.plan is not None and pause.host == self._host and pause.stage is None
        }

    def _data_of(self, plan: str) -> Mapping[str, Any]:
        """Return what a plan says of its data, which never changes."""
        return self._store.reading.plan_row(plan).data

    def _is_here(self, data: Mapping[str, Any]) -> bool:
        return not data.get("panel_key") or panel_of(data, self._settings).is_dir()

    def _trouble(self, data: Mapping[str, Any]) -> str | None:
        """Return why a panel that is not here does not come; None for one that is here or on its way.

        For one on its way the fits themselves wait. One that is here is offered to the others.
        """
        key, path = str(data.get("panel_key") or ""), panel_of(data, self._settings)
        if self._is_here(data):
            if key and self._keeper is not None:
                self._keeper.offer_panel(key, path)
            return None
        if self._keeper is None:
            return f"{path}); hand the plan in again to have it made anew, or put it back"
        words = self._keeper.lacks(key)
        return None if words is None else f"{path}), and it cannot be fetched: {words}"

    def _pause(self, plan: str, data: Mapping[str, Any], trouble: str) -> None:
        path = panel_of(data, self._settings)
        self._store.pause(plan=plan, host=self._host, reason=f"{_WORDS} ({trouble}", actor=self._actor)
        log.warning("a plan waits for its panel", plan=plan, path=str(path))
