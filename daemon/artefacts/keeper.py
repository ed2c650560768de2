"""The artefacts of one host's fits: what begins a fit here begins it through this."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from daemon.artefacts.fetching import PATIENCE_SECONDS, Fetching
from daemon.artefacts.kept_child import Begin, KeptChild
from daemon.artefacts.keys import panel_key, state_of, states_prefix
from daemon.artefacts.mover import Mover
from daemon.artefacts.moves import DONE, FITS, GET, PUT, REMOVE, Move
from daemon.artefacts.sets import DRAFT, DRAFT_SECONDS
from daemon.settings import Settings
from daemon.workplace import FitPlaces, Workplace
from executors.contract import FitSpec
from store.errors import DatabaseUnavailable
from store.plan_store import PlanStore

ASK_AGAIN_SECONDS = 2.0  # for a panel that was not there
OFFER_AGAIN_SECONDS = 600.0
STATES = "checkpoints"


class Keeper:
    """Fetches and puts away for all fits of a host, by one mover."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        mover: Mover,
        begin: Begin,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = Workplace.of(settings)
        self._store, self._begin = store, begin
        self.mover = mover
        self._clock = clock
        self._panels: dict[str, tuple[Move, float]] = {}  # on their way here, with when to ask again
        self._fits: Move | None = None
        self._missing_since: dict[str, float] = {}
        self._offered: dict[str, tuple[Move, float]] = {}  # on their way from here, or there

    def start(self) -> None:
        """Start the mover, and sweep away what an earlier one had fetched by half."""
        self.mover.start()
        for draft in (self._place.cache_dir / "panels").glob(f".*{DRAFT}*"):
            with contextlib.suppress(OSError):
                if draft.stat().st_mtime < time.time() - DRAFT_SECONDS:
                    shutil.rmtree(draft)

    def begin(self, spec: FitSpec, places: FitPlaces) -> KeptChild:
        """Begin a fit, now or when what it needs is here; raises BadSpec, OSError."""
        fetching = Fetching(spec, self.mover, self._place.fetched_dir, clock=self._clock)
        if spec.panel_path.is_dir():
            self.offer_panel(spec.panel_key, spec.panel_path)
        elif spec.panel_key:
            fetching.await_panel(lambda: self.fetch_panel(spec.panel_key))
        if spec.attempt > 1 and not self._has_newest(spec):
            fetching.fetch_state()
        return KeptChild(spec, places, self.mover, fetching, self._begin)

    def offer_panel(self, panel: str, path: Path) -> None:
        """See to it that a panel that is here is there for all; looked at again now and then."""
        known, now = self._offered.get(panel), self._clock()
        if panel and (known is None or (known[0].outcome is not None and now >= known[1])):
            move = self.mover.ask(PUT, panel_key(panel), path)
            self._offered[panel] = move, now + OFFER_AGAIN_SECONDS

    def fetch_panel(self, panel: str) -> Move:
        """Return the move that brings a panel here, a new one some time after the last has failed."""
        known, now = self._panels.get(panel), self._clock()
        into = self._place.cache_dir / "panels" / panel
        if known is not None and (known[0].outcome is None or now < known[1]):
            return known[0]
        if known is not None and known[0].outcome == DONE and into.is_dir():
            return known[0]
        move = self.mover.ask(GET, panel_key(panel), into, is_urgent=True)
        self._panels[panel] = move, now + ASK_AGAIN_SECONDS
        return move

    def lacks(self, panel: str) -> str | None:
        """Return why a panel cannot be had, once it could not be for a while; None while it may come."""
        move, now = self.fetch_panel(panel), self._clock()
        since = self._missing_since.setdefault(panel, now)
        if move.outcome in (None, DONE) or now < since + PATIENCE_SECONDS:
            return None
        return move.words

    def tidy(self) -> None:
        """Remove the states of fits that have succeeded, as a host left them that died just then.

        Called now and then; raises StoreError. What the log does not know is left alone: it may be another's.
        """
        if self._fits is None:
            self._fits = self.mover.ask(FITS, STATES, self._place.work_dir, tries_max=1)
        if self._fits.outcome != DONE:
            self._fits = self._fits if self._fits.outcome is None else None
            return
        plans = {fit: plan for plan, _, fit in (one.partition("/") for one in self._fits.words.split())}
        self._fits = None
        for fit, state in self._store.reading.states(list(plans)).items():
            if state == "succeeded":
                prefix = states_prefix(plans[fit], fit)
                self.mover.ask(REMOVE, prefix, self._place.work_dir, tries_max=1)

    def close(self) -> None:
        """Let what is under way come to its end, for a moment, and end the process."""
        self.mover.finish()
        self.mover.close()

    def _has_newest(self, spec: FitSpec) -> bool:
        """Whether the newest state that the log knows of lies here; there may be none."""
        try:
            path = self._store.reading.fit(spec.fit).checkpoint_path
        except DatabaseUnavailable:
            return False
        if path is None:
            return True
        state = "/".join(Path(path).parts[-2:])
        return state_of(state) is not None and (spec.checkpoint_dir / state).is_dir()


def keeper_of(
    settings: Settings, store: PlanStore, begin: Begin, *, clock: Callable[[], float]
) -> Keeper | None:
    """Return what keeps the artefacts of a host's fits; None where all hosts see the same directories."""
    if settings.artefacts is None:
        return None
    mover = Mover(settings.artefacts, settings.artefact_options, clock=clock)
    return Keeper(settings, store, mover, begin, clock=clock)
