"""A cluster that goes wrong in every way costs time and no fit; versions with a defect are found out."""

from __future__ import annotations

from pathlib import Path

import pytest
import reporting
from cluster_campaign import Campaign, Counts
from fake_ray import AskedAtOnce

from daemon.engine import dispatcher as engine_dispatcher
from daemon.engine.dispatcher import EngineDispatcher
from daemon.engine.flight import EngineRun, Flight
from store.errors import LeaseLost

SEEDS = range(200) if reporting.LONG else range(6)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to Ray are made in the turn that asks for them."""
    monkeypatch.setattr(engine_dispatcher, "Asking", AskedAtOnce)


def test_no_order_of_faults_of_a_cluster_breaks_a_promise(tmp_path: Path) -> None:
    """Each fit ends once; no agent that lives is robbed or stopped; nothing is left over."""
    counts = [Campaign(tmp_path, seed).run() for seed in SEEDS]
    reporting.report(
        "engine faults",
        faults=sum(one.faults for one in counts),
        lost=sum(one.lost for one in counts),
        doubles=sum(one.doubles + one.starts for one in counts),
        stale=sum(one.robbed for one in counts),
    )
    assert [one for one in counts if one.broken] == []
    assert sum(one.faults for one in counts) > 20 * len(SEEDS)


class Forgetful(EngineDispatcher):
    """Does not submit again what a new head does not know."""

    def _hear_look(self) -> None:
        flights = {id(flight): flight.submission for flight in self._flights}
        for flight in self._flights:
            flight.submission = None if flight.is_taken else flight.submission
        super()._hear_look()
        for flight in self._flights:
            flight.submission = flights.get(id(flight), flight.submission)


class Careless(EngineDispatcher):
    """Does not keep its claims while their jobs wait."""

    def _renew(self) -> None:
        """Nothing."""


class Credulous(EngineDispatcher):
    """Believes Ray: a job that is said to have failed has no agent any more."""

    def _hear_look(self) -> None:
        for flight in self._flights:
            known = self._watch.look.jobs.get(flight.id) if self._watch.look is not None else None
            if known is not None and known.status == "FAILED":
                fits = {run.fit_id for run in flight.runs if run.claim is None}
                workers = {row.worker for row in self._store.reading.fits() if row.id in fits}
                self._store.rescue(is_dead=workers.__contains__)
        super()._hear_look()


class Jealous(EngineDispatcher):
    """Stops the job of a fit that an agent took over."""

    def _lose(self, run: EngineRun, lost: LeaseLost) -> None:
        super()._lose(run, lost)
        flight: Flight = run.flight
        flight.stop()


@pytest.mark.parametrize("mutant", [Forgetful, Careless, Credulous, Jealous, None])
def test_the_faults_catch_a_planted_defect(tmp_path: Path, mutant: type[EngineDispatcher] | None) -> None:
    """A dispatcher that forgets, lets go, believes or meddles, and agents that take nothing over."""

    def counted(seed: int) -> Counts:
        if mutant is None:
            return Campaign(tmp_path, seed, skips_takeover=True).run()
        return Campaign(tmp_path, seed, dispatching=mutant).run()

    caught = any(counted(seed).broken for seed in range(12))
    reporting.report("engine faults", mutants=1, mutants_caught=int(caught))
    assert caught
