"""A cluster that goes wrong in every way, agents that live and die, and what must hold all the same.

Time is virtual. After so many steps with faults the cluster is sound again, and every fit must have ended
well, once, under one start for each fence, with no living agent robbed or stopped.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from daemon_samples import FakeClock, accept, all_events, job
from fake_ray import SILENT, EngineStage, begins, gives_back, started

from daemon.engine.dispatcher import EngineDispatcher
from store import open_store
from store.errors import LeaseLost
from store.events import FitSucceeded
from store.records import Claim

STEPS, CALM_STEPS = 150, 400
FITS = 5
_NUMBERS = count(1)
LEASE_SECONDS = 20.0


@dataclass(slots=True, eq=False)
class Agent:
    """Somebody who does the claims of a job."""

    job_id: str
    claims: list[Claim]


@dataclass(slots=True)
class Counts:
    """What a campaign counted; of the last six there must be none."""

    faults: int = 0
    attempts: int = 0
    doubles: int = 0  # fits that ended well twice
    starts: int = 0  # second starts under one fence
    robbed: int = 0  # living agents that lost a lease
    stopped: int = 0  # living agents that were stopped while their claims were current
    lost: int = 0  # fits that never ended
    neglected: int = 0  # leases of the living host that ran out

    @property
    def broken(self) -> bool:
        """Whether a promise was."""
        return bool(self.doubles or self.starts or self.robbed or self.stopped or self.lost or self.neglected)


@dataclass
class Campaign:
    """One run; `dispatching` is the dispatcher's class, `skips_takeover` an agent without the fence."""

    folder: Path
    seed: int
    dispatching: type[EngineDispatcher] = EngineDispatcher
    skips_takeover: bool = False
    counts: Counts = field(default_factory=Counts)
    clock: FakeClock = field(default_factory=FakeClock)
    agents: list[Agent] = field(default_factory=list)
    started: Counter[tuple[str, int]] = field(default_factory=Counter)

    def run(self) -> Counts:
        """Do it."""
        random_ = random.Random(self.seed)  # noqa: S311 (a choice of faults)
        with open_store(f"memory:engine-{next(_NUMBERS)}", clock=self._now) as store:
            self.stage = stage = EngineStage(
                self.folder, store, dispatching=self.dispatching, ray_slots=3, ray_fits_per_job=2,
                lease_seconds=LEASE_SECONDS,
            )  # fmt: skip
            stage.clock = self.clock
            stage.dispatcher = stage.made()
            stage.ray.on_stop = self._hear_stop
            accept(store, *(job(target=f"y_{number}_1d") for number in range(FITS)))
            for _ in range(STEPS):
                self._step(random_)
            stage.ray.trouble = None
            stage.ray.loses_answers = 0
            self._forget(random_)  # once more, with no restart of the daemon behind it
            for _ in range(CALM_STEPS):
                if all(row.state == "succeeded" for row in store.reading.fits()):
                    break
                self._start_jobs(random_, all_of_them=True)
                self._work(random_, share=0.5)
                self._turn(2.0)
            self._count()
        return self.counts

    def _now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.clock.now, UTC)

    def _step(self, random_: random.Random) -> None:
        fault = random_.choices(
            (
                self._lie,
                self._forget,
                self._die,
                self._hush,
                self._lose_answers,
                self._restart,
                self._twin,
                None,
            ),
            weights=(3, 1, 2, 2, 2, 1, 2, 20),
        )[0]
        if fault is not None:
            self.counts.faults += 1
            fault(random_)
        self._start_jobs(random_)
        self._work(random_, share=0.08)
        self._turn(random_.uniform(0.1, 4.0))

    # -- what goes wrong ---

    def _lie(self, random_: random.Random) -> None:
        """Ray says of a job what is not so."""
        if self.stage.ray.known:
            job_id = random_.choice(sorted(self.stage.ray.known))
            self.stage.ray.says(
                job_id, random_.choice(("FAILED", "SUCCEEDED", "STOPPED", "RUNNING", "PENDING"))
            )

    def _forget(self, random_: random.Random) -> None:
        """The head is killed and started anew; of the agents some die with it."""
        self.stage.ray.forgets()
        self.agents = [agent for agent in self.agents if random_.random() < 0.4]

    def _die(self, random_: random.Random) -> None:
        """An agent is killed; Ray tells of it, or not."""
        if self.agents:
            agent = self.agents.pop(random_.randrange(len(self.agents)))
            if agent.job_id in self.stage.ray.known and random_.random() < 0.7:
                self.stage.ray.says(agent.job_id, "FAILED", "killed")

    def _hush(self, random_: random.Random) -> None:
        """Ray answers nobody, or again."""
        self.stage.ray.trouble = None if self.stage.ray.trouble is not None else SILENT
        if random_.random() < 0.3:
            self._turn(70.0, renewing=True)

    def _lose_answers(self, random_: random.Random) -> None:
        """Ray hears and is not heard."""
        self.stage.ray.loses_answers = random_.randrange(1, 4)

    def _restart(self, random_: random.Random) -> None:
        """The daemon is killed and another begins; it rescues first."""
        before = self.stage.worker
        self.stage.worker = f"host/boot/1/{random_.randrange(10**6)}/3/m"
        self.stage.dispatcher = self.stage.made()
        self.stage.store.rescue(is_dead=lambda worker: worker == before)

    def _twin(self, random_: random.Random) -> None:
        """A job that was submitted once runs twice, or again after its end."""
        if self.stage.ray.submitted:
            self._begin(random_.choice(self.stage.ray.submitted))

    # -- what goes on ---

    def _start_jobs(self, random_: random.Random, *, all_of_them: bool = False) -> None:
        for submission in self.stage.ray.submitted:
            known = self.stage.ray.known.get(submission.id)
            waits = known is not None and known.status == "PENDING"
            has_agent = any(one.job_id == submission.id for one in self.agents)
            if waits and not has_agent and (all_of_them or random_.random() < 0.15):
                self._begin(submission)

    def _begin(self, submission: Any) -> None:
        store, ray = self.stage.store, self.stage.ray
        worker = f"node/boot/1/{len(self.started)}/{self.counts.attempts}/m"
        self.counts.attempts += 1
        if self.skips_takeover:
            claims = [one for agent in self.agents if agent.job_id == submission.id for one in agent.claims]
            claims = claims or begins(store, ray, submission, worker)
        else:
            claims = begins(store, ray, submission, worker)
        if not claims:
            if submission.id in ray.known:
                ray.says(submission.id, "FAILED", "exit code 75")
            return
        for claim in claims:
            self.started[claim.fit_id, claim.fence] += 1
        self.agents.append(Agent(submission.id, claims))

    def _work(self, random_: random.Random, *, share: float) -> None:
        """Living agents renew; now and then one ends a fit, and its job with the last."""
        for agent in list(self.agents):
            for claim in list(agent.claims):
                try:
                    if random_.random() < share:
                        word = FitSucceeded(bundle="b", sha256="0" * 64, metrics={}, seconds=1.0)
                        self.stage.store.started(claim, started())
                        self.stage.store.succeeded(claim, word)
                        agent.claims.remove(claim)
                    else:
                        self.stage.store.renew(claim)
                except LeaseLost:
                    agent.claims.remove(claim)
                    self.counts.robbed += 1
            if not agent.claims:
                self.agents.remove(agent)
                if agent.job_id in self.stage.ray.known:
                    self.stage.ray.says(agent.job_id, "SUCCEEDED")

    def _hear_stop(self, job_id: str) -> None:
        """An agent whose job is stopped gives its fits back."""
        for agent in [one for one in self.agents if one.job_id == job_id]:
            self.agents.remove(agent)
            held = self.stage.store.reading.fences([claim.fit_id for claim in agent.claims])
            current = [claim for claim in agent.claims if held.get(claim.fit_id) == claim.fence]
            self.counts.stopped += bool(current)
            for claim in current:
                gives_back(self.stage.store, claim)

    def _turn(self, seconds: float, *, renewing: bool = False) -> None:
        for _ in range(max(1, int(seconds // 4))):
            self.stage.turns(1, seconds=min(seconds, 4.0))
            if renewing:
                for agent in self.agents:
                    for claim in agent.claims:
                        self.stage.store.renew(claim)
        self.stage.store.rescue()

    def _count(self) -> None:
        store = self.stage.store
        ends = Counter(event.fit for event in all_events(store, "FitSucceeded"))
        self.counts.doubles = sum(count - 1 for count in ends.values())
        self.counts.lost = sum(row.state != "succeeded" for row in store.reading.fits())
        expired = all_events(store, "LeaseExpired")
        self.counts.neglected = sum(
            event.data["cause"] == "lease ran out" and not event.data["worker"].startswith("node/")
            for event in expired
        )
        self.counts.starts = sum(count - 1 for count in self.started.values())
