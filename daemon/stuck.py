"""Whether the host is stuck: fits are ready, none has run for a while, and nobody wanted it so."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from daemon.notices import Notice
from daemon.views.waiting import WaitingGroup, Watch
from daemon.views.words import counted, span
from store.errors import StoreError
from store.events import FitClaimed
from store.ids import new_event_id
from store.reading import Reader

LOOK_SECONDS_MAX = 30.0
WANTED = frozenset({"Held", "PlanPaused", "Backoff"})  # by a person, by a setting, until a known moment
FOLLOWING = frozenset({"Dependency", "WaitingForCpuStage"})  # what holds up those they wait for decides
SHOWN = 3


class Stuck:
    """Looks now and then; an episode is told once, when it has lasted `stuck_seconds`."""

    def __init__(
        self, stuck_seconds: float, *, host: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._host, self._clock = stuck_seconds, host, clock
        self._since: float | None = None
        self._since_seq = 0
        self._told = False
        self._look_at = float("-inf")

    def look(self, reader: Reader) -> Notice | None:
        """Return what is to be told now; raises StoreError."""
        now = self._clock()
        if now < self._look_at:
            return None
        self._look_at = now + min(LOOK_SECONDS_MAX, self._seconds / 4)
        if not reader.prospect().ready or reader.leased_workers() or self._began_a_fit(reader):
            self._since, self._told, self._since_seq = None, False, reader.head_seq()
            return None
        if not self._lasts(now):
            return None
        groups = Watch(reader).groups(reader.plans())
        if is_wanted({group.code for group in groups}):
            self._since = None
            return None
        return self._notice(_words(groups), now)

    def unanswered(self, error: StoreError) -> Notice | None:
        """Return what is to be told of an event log that has not answered for so long."""
        now = self._clock()
        return self._notice(f"the event log does not answer: {error}", now) if self._lasts(now) else None

    def _began_a_fit(self, reader: Reader) -> bool:
        """Whether a fit was started since it seemed stuck: a short one can have ended between two looks."""
        return bool(reader.events(after=self._since_seq, limit=1, kinds=(FitClaimed.kind,)))

    def _lasts(self, now: float) -> bool:
        """Whether it has lasted long enough by now, and is still to be told."""
        self._since = now if self._since is None else self._since
        return not self._told and now - self._since >= self._seconds

    def _notice(self, words: str, now: float) -> Notice:
        self._told = True
        lasted = span(now - (self._since or now))
        return Notice(
            id=new_event_id().hex(),
            kind="host_stuck",
            at=datetime.now(UTC),
            host=self._host,
            sentence=f"host {self._host} is stuck: nothing has run for {lasted}: {' '.join(words.split())}",
            next="trainwright status",
        )


def is_wanted(codes: Collection[str]) -> bool:
    """Whether all that waits does so because of a pause, a hold or a known moment."""
    causes = set(codes) - FOLLOWING
    return not codes or (bool(causes) and causes <= WANTED)


def _words(groups: Collection[WaitingGroup]) -> str:
    """Return what waits, in the words of `status`."""
    shown = sorted(groups, key=lambda group: -group.fits)
    words = [
        f"{counted(one.fits, f'{one.stage.upper()} fit')} waiting, {one.code}: {one.words}"
        for one in shown[:SHOWN]
    ]
    more = len(shown) - SHOWN
    return "; ".join([*words, f"and {more} more reasons"] if more > 0 else words)
