"""Told to stop, a training host ends with code 0 in whatever stage it is, and loses nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from daemon_samples import PATIENCE_SECONDS, all_events, await_that, drop, job, settings_in
from daemon_samples import document as plan_document
from fault_hosts import await_checkpoint, events_of, place
from lifecycle_hosts import await_log, await_store, is_ready, manager, running, stopped
from postgres_servers import PostgresServer
from reporting import LONG, figure, report

from daemon.settings import Settings
from store import PlanStore, open_store

ROUNDS = 13 if LONG else 1  # of eight stages: 104 stops
STOP_SECONDS_MAX = 60.0  # of a busy machine; the unit allows 90

# A database that does not answer, and one that is being brought up to date.
SILENT = """
import daemon.starting
from store.errors import DatabaseUnavailable
def silent(url, **_more):
    raise DatabaseUnavailable(url=url, cause="nobody is there")
daemon.starting.open_store = silent
"""
MIGRATING = """
import store.schema
def slow(url):
    print("migrating", file=sys.stderr, flush=True)
    time.sleep(600)
store.schema._migrate = slow
"""
# A claim that takes a while, and says so.
CLAIMING = """
from store.plan_store import PlanStore
real = PlanStore.claim
def slow(self, worker, **more):
    print("claiming", file=sys.stderr, flush=True)
    time.sleep(0.3)
    return real(self, worker, **more)
PlanStore.claim = slow
"""
# In the processes that judge plans: reading the data takes its time.
READING = """
import sys, time
if any("judging" in word for word in sys.orig_argv):
    import panel.prepare
    panel.prepare.prepare_panel = lambda *_words, **_more: time.sleep(600)
"""


def idle(directory: Path) -> Settings:
    """An installation without a plan."""
    return settings_in(directory)


def with_plan(directory: Path) -> Settings:
    """An installation with a plan of the CPU stage."""
    return place(directory, families=("LightGBM",))


def with_both(directory: Path) -> Settings:
    """An installation with a plan of both stages, the first one short."""
    return place(directory, families=("LightGBM", "LSTM"))


def claimed(store: PlanStore) -> object:
    """Whether a fit was claimed."""
    return all_events(store, "FitClaimed")


def saved(family: str) -> Callable[[Settings], None]:
    """Wait for a checkpoint of a family."""

    def reached(settings: Settings) -> None:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, family, step=20)

    return reached


# stage -> the installation, what is planted, how it is known that the stage is reached
STAGES: dict[str, tuple[Callable[[Path], Settings], str, Callable[[Settings], None]]] = {
    "waiting for the log": (idle, SILENT, lambda settings: await_log(settings, "waiting for the event log")),
    "migrating": (idle, MIGRATING, lambda settings: await_log(settings, "migrating")),
    "waiting for plans": (idle, "", lambda settings: await_log(settings, "daemon ready")),
    "claiming": (with_plan, CLAIMING, lambda settings: await_log(settings, "claiming")),
    "a server starting": (with_plan, "", lambda settings: await_store(settings, claimed, "claim")),
    "a CPU fit": (with_plan, "", saved("LightGBM")),
    "a GPU fit": (with_both, "", saved("LSTM")),
}


def check_stopped(settings: Settings, stage: str) -> None:
    """Nothing is leased, nothing lost; whoever began has said goodbye."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if stage in ("waiting for the log", "migrating"):
        return
    assert path.is_file()
    with open_store(settings.database_url) as store:
        assert [row.state for row in store.reading.hosts()] == ["stopped"]
        (goodbye,) = all_events(store, "DaemonStopped")
        assert goodbye.data["cause"] == "stopped by SIGTERM"
        assert goodbye.data["ended"] == 0
        assert not all_events(store, "LeaseExpired")
        assert store.reading.leased_workers() == frozenset()
        assert store.verify().ok


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage for stage in STAGES if LONG or stage != "a GPU fit"])
def test_told_to_stop_in_any_stage_it_ends_well(tmp_path: Path, stage: str) -> None:
    """Exit code 0 within the limit, all its processes gone, fits given back with their states."""
    began_at, slowest = time.monotonic(), 0.0
    make, planted, reached = STAGES[stage]
    for number in range(ROUNDS):
        settings = make(tmp_path / f"{number}")
        with running(settings, planted=planted) as host:
            reached(settings)
            told_at = time.monotonic()
            assert stopped(host) == 0
            slowest = max(slowest, time.monotonic() - told_at)
        check_stopped(settings, stage)
    assert slowest < STOP_SECONDS_MAX
    report(f"stop: {stage}", faults=ROUNDS, lost=0, seconds=time.monotonic() - began_at)
    figure(f"stop: {stage}", f"{ROUNDS} of {ROUNDS}, at most {slowest:.1f} s", bar="exit 0 in time", met=True)


@pytest.mark.slow
def test_told_to_stop_while_a_plan_is_judged_it_leaves_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that reads the data is ended, and the plan lies in the drop folder for the next start."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(READING, encoding="utf-8")
    settings = settings_in(tmp_path / "host", data_dir=tmp_path)
    drop(settings.inbox_dir, "plan", plan_document(job()))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"))
    with manager(tmp_path) as systemd, running(settings, watched=systemd) as host:
        systemd.hear("judging plan")
        assert stopped(host) == 0
    assert (settings.inbox_dir / "plan").is_dir()
    with open_store(settings.database_url) as store:
        assert not all_events(store, "PlanRejected", "PlanAccepted")
        assert len(all_events(store, "DaemonStopped")) == 1


@pytest.mark.slow
def test_told_twice_it_waits_for_no_fit(tmp_path: Path) -> None:
    """A fit that cannot save holds the first stop up to its limit; the second signal ends it at once."""
    settings = place(tmp_path, families=("LightGBM",), stop_seconds=3600.0)
    with manager(tmp_path) as systemd, running(settings, watched=systemd) as host:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, "LightGBM", step=20)
            child = events_of(store, "LightGBM", "FitStarted")[0]["pid"]
            psutil.Process(child).suspend()
            host.send_signal(signal.SIGTERM)
            systemd.hear("STOPPING=1")
            assert host.poll() is None
            host.send_signal(signal.SIGTERM)
            assert host.wait(PATIENCE_SECONDS) == 0
            await_that(lambda: not psutil.pid_exists(child), "end of the fit")
            (released,) = all_events(store, "FitReleased")
            assert released.data["step"] >= 20
            assert all_events(store, "DaemonStopped")[0].data["ended"] == 1


@pytest.mark.slow
def test_told_to_stop_while_its_log_is_frozen_it_ends_in_time(tmp_path: Path) -> None:
    """A frozen Postgres holds a stop for a moment, not for half a minute a word; the next start knows."""
    server = PostgresServer()
    try:
        server.initialize()
        server.start()
        settings = replace(
            place(tmp_path, families=("LightGBM",), stop_seconds=4.0), database_url=server.address()
        )
        with running(settings) as host:
            await_log(settings, "fit started")
            frozen = [process for process in server.processes() if process.is_running()]
            for process in frozen:
                process.suspend()
            told_at = time.monotonic()
            assert stopped(host) == 0
            took = time.monotonic() - told_at
        for process in frozen:
            process.resume()
        assert took < STOP_SECONDS_MAX
        with running(settings) as host, open_store(settings.database_url) as store:
            await_that(lambda: len(all_events(store, "DaemonStarted")) == 2, "start")
            assert stopped(host) == 0
            said = all_events(store, "DaemonStarted")[1].data["previous_stop"]
            assert said == "stopped: stopped by SIGTERM, while the event log did not answer"
    finally:
        server.remove()
