"""Whether plans may be taken out of the drop folder now, and whose."""

from __future__ import annotations

import pwd
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from daemon.disk_floor import DiskFloor
from daemon.settings import Settings
from store.plan_store import PlanStore

COUNT_SECONDS = 2.0  # between two counts of the plans that are open


class Gate:
    """Open as a rule; shut while there is too little space, or more work than anybody can survey."""

    def __init__(
        self, settings: Settings, store: PlanStore, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._floor = DiskFloor(settings)
        self._counted_at, self._open_plans = float("-inf"), 0

    def shut_because(self) -> str | None:
        """Return in a sentence why no plan may be taken now, None when plans may.

        Raises:
            StoreError: the event log does not answer.
        """
        self._floor.look()
        if self._floor.words is not None:
            return self._floor.words
        if self._clock() >= self._counted_at + COUNT_SECONDS:
            self._counted_at = self._clock()
            self._open_plans = self._store.reading.open_plans()
        if self._open_plans >= self._settings.plans_open_max:
            return f"{self._open_plans} plans are open, further ones wait in the drop folder (plans_open_max)"
        return None

    def took_one(self) -> None:
        """Hear that there is one more open plan."""
        self._open_plans += 1

    def stranger(self, uids: Collection[int]) -> str | None:
        """Return who of the owners of a plan may not hand in any, None where all may."""
        allowed = self._settings.inbox_users
        for uid in uids if allowed else ():
            name = str(uid)
            with suppress(KeyError):
                name = pwd.getpwuid(uid).pw_name
            if not {name, str(uid)} & set(allowed):
                return f"{name} ({uid})" if name != str(uid) else f"user {uid}"
        return None
