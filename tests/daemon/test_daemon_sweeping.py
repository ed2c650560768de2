"""What lies on a host of fits that ended elsewhere is swept away, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from daemon_samples import accept, job, settings_in

from daemon.agent import run_agent
from daemon.asking import Asked
from daemon.host import Host
from daemon.settings import Settings
from daemon.sweeping import AT_ONCE_MAX, SWEEP, Sweeping
from store import PlanStore, open_store
from store.events import FitSucceeded

FITS = AT_ONCE_MAX + 3


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """An event log with a plan of some fits, all of which another host has claimed."""
    with open_store(sqlite_url) as opened:
        accept(opened, *(job(target=f"y_{number}") for number in range(FITS)))
        yield opened


def places(settings: Settings, store: PlanStore) -> dict[str, Path]:
    """The states of all fits, as this host saved them; by fit."""
    found = {fit.id: settings.results_dir / "work" / fit.plan_id / fit.id for fit in store.reading.fits()}
    for path in found.values():
        (path / "checkpoints" / "1").mkdir(parents=True)
    return found


def end_elsewhere(store: PlanStore, count: int) -> list[str]:
    """Let another host finish so many fits."""
    claims = store.claim("beta", stage="cpu", limit=count)
    for claim in claims:
        store.succeeded(claim, FitSucceeded(bundle="b", sha256="0", metrics={}, seconds=1.0))
    return [claim.fit_id for claim in claims]


def test_states_of_fits_that_ended_elsewhere_are_swept(tmp_path: Path, store: PlanStore) -> None:
    """The states of unfinished fits stay, and so do those of a fit that still runs here."""
    settings = settings_in(tmp_path)
    host = Host(settings, store)
    try:
        kept = places(settings, store)
        ended = end_elsewhere(store, 3)
        late = SimpleNamespace(claim=SimpleNamespace(fit_id=ended[0]))
        host.dispatcher.running.append(late)  # type: ignore[arg-type] (all that is asked of it)
        sweeping = Sweeping(settings, store, host)
        sweeping.turn(frozenset())
        assert all(path.is_dir() for path in kept.values()), "it was not time"
        sweeping.turn(frozenset({SWEEP}))
        assert {fit for fit, path in kept.items() if not path.exists()} == set(ended[1:])
        host.dispatcher.running.clear()
        assert sweeping.sweep() == 1
        assert not kept[ended[0]].exists()
    finally:
        host.close()


def test_a_turn_sweeps_a_few_at_most(tmp_path: Path, store: PlanStore) -> None:
    """Many places are swept in several turns, and the plan's with the last of them."""
    settings = settings_in(tmp_path)
    host = Host(settings, store)
    try:
        plan_dir = next(iter(places(settings, store).values())).parent
        end_elsewhere(store, FITS)
        sweeping = Sweeping(settings, store, host)
        assert sweeping.sweep() == AT_ONCE_MAX
        assert plan_dir.is_dir()
        assert sweeping.sweep() == FITS - AT_ONCE_MAX
        assert not plan_dir.exists()
        assert sweeping.sweep() == 0
    finally:
        host.close()


def test_where_only_agents_work_an_agent_sweeps_before_it_ends(tmp_path: Path, store: PlanStore) -> None:
    """A node of a cluster has no daemon: what a killed agent left there would stay for good."""
    settings = settings_in(tmp_path)
    kept, ended = places(settings, store), end_elsewhere(store, 3)
    run_agent(settings, store, asked=Asked(plan="p_other"))
    assert {fit for fit, path in kept.items() if not path.exists()} == set(ended)
