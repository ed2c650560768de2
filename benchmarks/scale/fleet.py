"""Simulated hosts: the real dispatcher over the real store; only children and disks are stood in for."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.child import SimulatedChild
from benchmarks.scale.options import Scenario
from daemon import runner as running
from daemon.dispatcher import Dispatcher
from daemon.news import News
from daemon.settings import Settings
from daemon.workplace import FitPlaces
from executors.contract import FitSpec, Outcome, Report
from store.plan_store import PlanStore


class SimulatedHost:
    """One machine. `lives` counts its starts: each has a name of its own, as a process has."""

    def __init__(
        self,
        number: int,
        agenda: Agenda,
        store: PlanStore,
        settings: Settings,
        scenario: Scenario,
        tell: Callable[[News], None],
    ) -> None:
        self._number, self._agenda, self._store, self._settings = number, agenda, store, settings
        self._scenario, self._tell = scenario, tell
        self.lives, self.turns = 0, 0
        self._frozen = False
        self._due: float | None = None  # when its next turn is
        self.dispatcher: Dispatcher | None = None

    def start(self) -> None:
        """Begin to work, with nothing at hand."""
        self.lives += 1
        self.dispatcher = Dispatcher(
            self._settings,
            self._store,
            worker=f"sim{self._number:04}/boot/1/{self._number + 1}/{self.lives}/",
            begin=self._begin,
            clock=self._agenda.monotonic,
            tell=self._tell,
        )
        self.wake(0.0)

    def die(self) -> None:
        """End with all children, without a word."""
        if self.dispatcher is not None:
            for run in self.dispatcher.running:
                run.child.kill()
        self.dispatcher, self._due = None, None

    def freeze(self) -> None:
        """Stand still: the children go on, nobody hears them."""
        self._frozen = True

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self._frozen = False
        self.wake(0.0)

    def wake(self, seconds: float) -> None:
        """Take a turn so many seconds from now, if none is due before."""
        due = self._agenda.now + seconds
        if self._due is None or due < self._due:
            self._due = due
            self._agenda.at(due, lambda: self._turn(due))

    def _turn(self, due: float) -> None:
        if self._due != due:
            return
        self._due = None
        if self.dispatcher is None or self._frozen:
            return
        self.turns += 1
        self.dispatcher.tick()
        self.wake(self._scenario.turn_seconds)

    def _begin(self, spec: FitSpec, _places: FitPlaces) -> SimulatedChild:
        return SimulatedChild(spec, self._agenda, self._scenario, self._hear)

    def _hear(self) -> None:
        """What a child says is heard at the next turn, with what others say until then."""


class _Unlimited:
    """Limits and log file of a fit without a process: nothing is ever over them."""

    def __init__(self, *_words: object, **_more: object) -> None:
        pass

    def hear(self, _report: Report, _now: float) -> None:
        """Take note of nothing."""

    def keep(self, *_words: object) -> None:
        """Look at nothing."""

    def verdict(self, outcome: Outcome) -> Outcome:
        """Return how it ended."""
        return outcome


def stand_in_for_machines() -> None:
    """Let nothing of a simulated fit touch this machine: it has neither a process nor files here."""
    nothing = {"write_json": _nothing, "is_stopped": _nothing, "Limits": _Unlimited, "AttemptLog": _Unlimited}
    for name, stand_in in nothing.items():
        getattr(running, name)  # it must be there, or nothing is stood in for
        setattr(running, name, stand_in)


def _nothing(*_words: object) -> bool:
    return False
