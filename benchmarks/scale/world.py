"""A fleet at work: plans come, hosts die, freeze and return, until every fit has ended."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.fleet import SimulatedHost, stand_in_for_machines
from benchmarks.scale.options import Scenario
from benchmarks.scale.virtual_log import VirtualLog
from benchmarks.store.plans import plan_of
from daemon.news import FitEnded, News
from daemon.settings import Settings
from store.plan_store import PlanStore

_RESCUE_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a simulation; `ended` counts by fit how often its success was recorded for somebody."""

    scenario: Scenario
    real_seconds: float = 0.0
    cpu_seconds: float = 0.0
    accept_seconds: float = 0.0
    virtual_seconds: float = 0.0
    turns: int = 0
    deaths: int = 0
    freezes: int = 0
    rescued: int = 0
    told: Counter[str] = field(default_factory=Counter)
    successes: Counter[str] = field(default_factory=Counter)


class World:
    """One simulation over a log of its own, which goes with this process."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        watch: Callable[[int], None] = lambda _ended: None,
        within: Path | None = None,
    ) -> None:
        """`watch` is told now and then how many fits have ended."""
        self._watch = watch
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        stand_in_for_machines()
        self.scenario, self.agenda = scenario, Agenda()
        self.log = VirtualLog(self.agenda, within)
        self.store = PlanStore(self.log)
        self.outcome = Outcome(scenario=scenario)
        settings = _settings(scenario)
        self.hosts = [
            SimulatedHost(number, self.agenda, self.store, settings, scenario, self._hear)
            for number in range(scenario.hosts)
        ]
        self._drawn = random.Random(scenario.seed)  # noqa: S311 - no secret
        self._plans_left = scenario.plans
        self._sent, self._is_done = 0, False

    def run(self) -> Outcome:
        """Let all of it happen; returns what came of it."""
        began, worked = time.perf_counter(), time.process_time()
        self._send_plans()
        for host in self.hosts:
            self.agenda.after(self._drawn.random() * 5, host.start)
        self._plan_mishaps()
        self.agenda.after(_RESCUE_SECONDS, self._rescue)
        while not self._is_done and self.agenda.step():
            pass
        outcome = self.outcome
        outcome.real_seconds, outcome.virtual_seconds = time.perf_counter() - began, self.agenda.now
        outcome.cpu_seconds = time.process_time() - worked
        outcome.turns = sum(host.turns for host in self.hosts)
        return outcome

    def _send_plans(self) -> None:
        """Send plans until a round of the whole fleet is open, as far as there are any left."""
        fleet = self.scenario.hosts * self.scenario.slots
        open_fits = self._sent - self._ended
        while self._plans_left and open_fits < fleet:
            open_fits += self.scenario.plan_fits
            began = time.perf_counter()
            plan = plan_of(self.scenario.plan_fits // 10, families=10, data={"output": "simulated"})
            self.store.accept(plan, source="simulation", name="simulation")
            self.outcome.accept_seconds += time.perf_counter() - began
            self._plans_left -= 1
            self._sent += self.scenario.plan_fits

    @property
    def _ended(self) -> int:
        return sum(self.outcome.told[word] for word in ("succeeded", "failed"))

    def _plan_mishaps(self) -> None:
        """Spread deaths and freezes over the time that the work should take."""
        scenario = self.scenario
        whole = scenario.fits / (scenario.hosts * scenario.slots) * scenario.fit_seconds * 1.2
        for _ in range(scenario.deaths):
            self.agenda.at(self._drawn.random() * whole, self._kill_one)
        for _ in range(scenario.freezes):
            self.agenda.at(self._drawn.random() * whole, self._freeze_one)

    def _kill_one(self) -> None:
        host = self._drawn.choice(self.hosts)
        if host.dispatcher is not None:
            self.outcome.deaths += 1
            host.die()
            self.agenda.after(self.scenario.away_seconds * (0.2 + self._drawn.random()), host.start)

    def _freeze_one(self) -> None:
        host = self._drawn.choice(self.hosts)
        if host.dispatcher is not None:
            self.outcome.freezes += 1
            host.freeze()
            self.agenda.after(self.scenario.away_seconds * (0.2 + self._drawn.random()), host.thaw)

    def _rescue(self) -> None:
        """Take back what the dead and the frozen hold, once their leases have run out."""
        self.outcome.rescued += len(self.store.rescue())
        self._watch(self._ended)
        self._send_plans()
        self._is_done = not self._plans_left and not self.store.reading.open_plans()
        self.agenda.after(_RESCUE_SECONDS, self._rescue)

    def _hear(self, news: News) -> None:
        if isinstance(news, FitEnded):
            self.outcome.told[news.outcome] += 1
            if news.outcome == "succeeded":
                self.outcome.successes[news.fit] += 1


def _settings(scenario: Scenario) -> Settings:
    return Settings.from_sources(
        {},
        {},
        {
            "results_dir": Path("simulated"),
            "cpu_slots": scenario.slots,
            "gpu_slots": 0,
            "lease_seconds": scenario.lease_seconds,
            "pin_cpus": False,
            "fit_hung_seconds": 0.0,
            "fit_silent_seconds": 1e9,
        },
    )
