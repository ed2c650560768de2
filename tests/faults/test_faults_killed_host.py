"""A training host that is killed loses nothing that was acknowledged, and continues where it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from daemon_samples import PATIENCE_SECONDS, all_events, await_that, settings_in, write_data
from fault_hosts import (
    await_checkpoint,
    bundles,
    completions,
    events_of,
    is_running,
    kill,
    place,
    start_host,
)

from daemon.service import drain
from store import PlanStore, open_store

FAMILIES = ("LightGBM", "LSTM")
SLACK_SECONDS = 30.0  # of a loaded machine; the work lost is counted in steps as well


def check_all_done(store: PlanStore) -> None:
    """Every fit completed exactly once, and the log is sound."""
    assert set(completions(store).values()) == {1}
    assert {fit.state for fit in store.reading.fits()} == {"succeeded"}
    assert store.verify().ok


def check_stages(store: PlanStore) -> None:
    """No GPU fit was claimed before the last CPU fit had ended."""
    stage_of = {fit.id: fit.stage for fit in store.reading.fits()}
    last_cpu = max(e.seq for e in all_events(store, "FitSucceeded") if stage_of[e.fit or ""] == "cpu")
    first_gpu = min(e.seq for e in all_events(store, "FitClaimed") if stage_of[e.fit or ""] == "gpu")
    assert last_cpu < first_gpu


def check_resumed(store: PlanStore, family: str, *, step: int, checkpoint_seconds: float) -> None:
    """A family's fit was taken back from the dead host and continued from its last checkpoint."""
    (lost,) = events_of(store, family, "LeaseExpired")
    assert lost["cause"] == "daemon gone"
    assert lost["lost_seconds"] <= checkpoint_seconds + SLACK_SECONDS
    assert lost["last_checkpoint_step"] >= step
    first, second = events_of(store, family, "FitStarted")
    assert first["resumed_from_step"] is None
    assert second["resumed_from_step"] >= lost["last_checkpoint_step"]
    assert second["resumed_from_attempt"] == 1


@pytest.mark.slow
def test_kill_minus_nine_costs_at_most_a_checkpoint(tmp_path: Path) -> None:
    """Killed in the CPU stage and again in the GPU stage, the host resumes both and gives the same bytes."""
    quiet = place(tmp_path / "quiet", families=FAMILIES)
    assert start_host(quiet, until_idle=True).wait(PATIENCE_SECONDS) == 0
    settings = place(tmp_path / "killed", families=FAMILIES)
    with open_store(settings.database_url) as store, open_store(quiet.database_url) as untouched:
        for family in FAMILIES:
            host = start_host(settings)
            await_checkpoint(store, family, step=80)
            children = kill(host)
            assert children
            await_that(lambda pids=children: not any(map(is_running, pids)), "end of the children")
        assert start_host(settings, until_idle=True).wait(PATIENCE_SECONDS) == 0
        check_all_done(store)
        check_stages(store)
        for family in FAMILIES:
            check_resumed(store, family, step=80, checkpoint_seconds=settings.checkpoint_seconds)
        assert bundles(store) == bundles(untouched)
        stops = [event.data["previous_stop"] for event in all_events(store, "DaemonStarted")]
        assert all("killed or crashed" in stop for stop in stops[1:])


@pytest.mark.slow
def test_sigterm_saves_and_gives_back(tmp_path: Path) -> None:
    """SIGTERM ends the daemon with code 0 and its fits given back, saved; nothing counts as lost."""
    settings = place(tmp_path, families=("LightGBM",))
    with open_store(settings.database_url) as store:
        host = start_host(settings)
        await_checkpoint(store, "LightGBM", step=40)
        host.terminate()
        assert host.wait(PATIENCE_SECONDS) == 0
        (released,) = all_events(store, "FitReleased")
        assert released.data["cause"] == "stopped by SIGTERM"
        assert released.data["step"] >= 40
        assert all_events(store, "DaemonStopped")[-1].data["cause"] == "stopped by SIGTERM"
        assert [fit.state for fit in store.reading.fits()] == ["ready"]
        assert start_host(settings, until_idle=True).wait(PATIENCE_SECONDS) == 0
        check_all_done(store)
        assert events_of(store, "LightGBM", "FitStarted")[-1]["resumed_from_step"] >= 40
        assert not all_events(store, "LeaseExpired")


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """A second daemon on the same results directory does not start and says who is there."""
    settings = settings_in(tmp_path)
    write_data(tmp_path / "data", rows=200)
    first = start_host(settings)
    try:
        with open_store(settings.database_url) as store:
            await_that(lambda: all_events(store, "DaemonStarted"), "daemon")
        log = tmp_path / "second.log"
        assert start_host(settings, log=log).wait(PATIENCE_SECONDS) != 0
        assert f"another daemon already works here: pid {first.pid}" in log.read_text(encoding="utf-8")
    finally:
        first.terminate()
        assert first.wait(PATIENCE_SECONDS) == 0


@pytest.mark.slow
def test_a_frozen_host_is_refused_when_it_wakes(tmp_path: Path) -> None:
    """A host frozen past its lease finds its fit done by another; its late word is refused."""
    settings = place(tmp_path, families=("LightGBM",), lease_seconds=1.0)
    with open_store(settings.database_url) as store:
        host = start_host(settings)
        await_checkpoint(store, "LightGBM", step=20)
        os.kill(host.pid, signal.SIGSTOP)
        (plan,) = store.reading.plans()
        drained = drain(settings, store, [plan.id])
        assert drained.succeeded == 1
        os.kill(host.pid, signal.SIGCONT)
        await_that(lambda: b"lease lost" in (tmp_path / "host.log").read_bytes(), "refusal")
        host.terminate()
        assert host.wait(PATIENCE_SECONDS) == 0
        check_all_done(store)
        assert "lease ran out" in {word["cause"] for word in events_of(store, "LightGBM", "LeaseExpired")}


@pytest.mark.slow
def test_a_stopped_child_loses_its_lease(tmp_path: Path) -> None:
    """A child stopped past its lease is ended, and its fit goes on from the last checkpoint."""
    settings = place(tmp_path, families=("LightGBM",), lease_seconds=1.0)
    with open_store(settings.database_url) as store:
        host = start_host(settings)
        await_checkpoint(store, "LightGBM", step=20)
        child = events_of(store, "LightGBM", "FitStarted")[0]["pid"]
        os.kill(child, signal.SIGSTOP)
        await_that(lambda: completions(store), "end of the fit")
        assert not is_running(child)
        host.terminate()
        assert host.wait(PATIENCE_SECONDS) == 0
        check_all_done(store)
        assert events_of(store, "LightGBM", "LeaseExpired")[0]["cause"] == "lease ran out"
        assert events_of(store, "LightGBM", "FitStarted")[-1]["resumed_from_step"] >= 20
