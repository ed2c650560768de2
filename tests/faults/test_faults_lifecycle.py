"""A training host says when it is ready, that it lives while its loop turns, and takes over what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from daemon_samples import PATIENCE_SECONDS, all_events, await_that, settings_in
from earlier_schema import as_written_before
from fault_hosts import await_checkpoint, completions, events_of, kill, place
from lifecycle_hosts import await_log, await_store, is_ready, manager, running, stopped
from reporting import report

from daemon.identity import own_identity
from daemon.leftovers import STARTED_BY
from store import PlanStore, open_store

# A loop that hangs in a call of one of its parts; the manager is told when, in the same queue as all else.
HANGING = """
from daemon.notify import Notifier
from daemon.register import Register
def hang(self):
    if "ready" in state:
        state["notifier"]._send("HANGS=1")
        time.sleep(600)
Register.turn = hang
state = {}
real_ready, real_alive = Notifier.ready, Notifier.alive
def ready(self, status):
    state.update(ready=True, notifier=self)
    real_ready(self, status)
Notifier.ready = ready
"""
# The defect: a thread that says for the loop that it turns.
THREAD = """
def thread_ready(self, status):
    ready(self, status)
    def ping():
        while True:
            time.sleep(0.05)
            self.alive(status)
    threading.Thread(target=ping, daemon=True).start()
Notifier.ready = thread_ready
"""
OTHER_BOOT = """
import daemon.identity
daemon.identity._BOOT_ID = Path(sys.argv[1] and {path!r})
"""
# The log is away at first, then there.
LATE_LOG = """
import daemon.starting
from store.errors import DatabaseUnavailable
real = daemon.starting.open_store
def late(url, **more):
    if not Path({path!r}).exists():
        raise DatabaseUnavailable(url=url, cause="nobody is there")
    return real(url, **more)
daemon.starting.open_store = late
"""


def resumed(store: PlanStore) -> bool:
    """Whether the fit was started a second time, or has ended since."""
    return len(all_events(store, "FitStarted")) > 1 or bool(completions(store))


def pings_while_hanging(directory: Path, planted: str) -> bool:
    """Whether the watchdog is told that the daemon lives though its loop hangs."""
    directory.mkdir()
    with (
        manager(directory) as systemd,
        running(settings_in(directory), planted=planted, watched=systemd, watchdog_seconds=0.6),
    ):
        systemd.hear("READY=1")
        systemd.hear("HANGS=1")
        try:
            systemd.hear("WATCHDOG=1", timeout_seconds=3.0)
        except AssertionError:
            return False
        return True


@pytest.mark.slow
def test_a_loop_that_hangs_gives_no_sign_of_life(tmp_path: Path) -> None:
    """The watchdog hears of a hanging loop by silence; a thread that pings for it is found out."""
    assert not pings_while_hanging(tmp_path / "real", HANGING)
    assert pings_while_hanging(tmp_path / "mutant", HANGING + THREAD)
    report("watchdog", faults=2, mutants=1, mutants_caught=1)


@pytest.mark.slow
def test_it_waits_for_a_log_that_comes_later(tmp_path: Path) -> None:
    """Started before its database it waits, says for what, and asks for time; then it is ready by itself."""
    there = tmp_path / "there"
    with (
        manager(tmp_path) as systemd,
        running(
            settings_in(tmp_path / "host"), planted=LATE_LOG.format(path=str(there)), watched=systemd
        ) as host,
    ):
        said = systemd.hear("STATUS=waiting for the event log: nobody is there")
        assert "EXTEND_TIMEOUT_USEC=" in said
        there.touch()
        systemd.hear("READY=1")
        assert not any("READY=1" in words for words in systemd.words[:-1])
        assert stopped(host) == 0


@pytest.mark.slow
def test_what_a_dead_daemon_left_is_put_in_order_before_ready(tmp_path: Path) -> None:
    """Its processes are ended, its fits taken back, its drafts swept; then the fit goes on from its state."""
    settings = place(tmp_path, families=("LightGBM",))
    with running(settings) as host:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, "LightGBM", step=80)
        kill(host)
    with open_store(settings.database_url) as store:
        dead = store.reading.hosts()[0].worker
        (models,) = settings.output_dir.glob("*/models")
        draft = models / "cs_fwd_ret_1d" / ".LightGBM.draft-1"
        draft.mkdir(parents=True)
        os.utime(draft, (1.0, 1.0))
        left = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, STARTED_BY: dead}
        )
        with manager(tmp_path) as systemd, running(settings, watched=systemd) as host:
            systemd.hear("READY=1")
            assert left.wait(PATIENCE_SECONDS) == -signal.SIGKILL
            assert not draft.exists()
            (lost,) = events_of(store, "LightGBM", "LeaseExpired")
            await_that(lambda: resumed(store), "second start")
            assert stopped(host) == 0
        assert events_of(store, "LightGBM", "FitStarted")[1]["resumed_from_step"] >= 80
        start = all_events(store, "DaemonStarted")[1].data
        assert start["previous_stop"] == "it was killed or crashed without a stop"
        assert start["previous_stop_at"] is not None
        assert lost["cause"] == "daemon gone"


@pytest.mark.slow
def test_after_a_power_cut_the_boot_tells_what_happened(tmp_path: Path) -> None:
    """On another boot the daemon before counts as dead at once, its fit goes on, and the log says why."""
    settings = place(tmp_path, families=("LightGBM",), lease_seconds=3600.0)
    with running(settings) as host:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, "LightGBM", step=40)
        kill(host)
    (tmp_path / "boot_id").write_text("another-boot\n", encoding="ascii")
    planted = OTHER_BOOT.format(path=str(tmp_path / "boot_id"))
    with running(settings, planted=planted) as host, open_store(settings.database_url) as store:
        await_that(lambda: resumed(store), "second start")
        assert stopped(host) == 0
        start = all_events(store, "DaemonStarted")[1].data
        assert start["previous_stop"] == "the machine went down without a stop"
        assert start["booted_at"] is not None
        assert events_of(store, "LightGBM", "FitStarted")[1]["resumed_from_step"] >= 40


@pytest.mark.slow
def test_a_moved_installation_goes_on_and_says_what_is_missing(tmp_path: Path) -> None:
    """Results, outputs and drop folder moved elsewhere: the fit goes on there; without its panel it waits."""
    settings = place(tmp_path / "old", families=("LightGBM",))
    with running(settings) as host:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, "LightGBM", step=40)
        assert stopped(host) == 0
    (tmp_path / "old").rename(tmp_path / "new")
    moved = settings_in(
        tmp_path / "new",
        params=dict(settings.params),
        checkpoint_rounds=settings.checkpoint_rounds,
        checkpoint_seconds=settings.checkpoint_seconds,
    )
    panels = moved.results_dir / "cache" / "panels"
    panels.rename(tmp_path / "panels")
    with running(moved) as host, open_store(moved.database_url) as store:
        await_that(store.reading.pauses, "pause")
        (pause,) = store.reading.pauses()
        assert "its panel is not on this host" in pause.reason
        assert pause.actor == f"daemon@{own_identity().host}"
        (tmp_path / "panels").rename(panels)
        await_that(lambda: resumed(store), "second start")
        assert stopped(host) == 0
        assert store.reading.pauses() == ()
        assert events_of(store, "LightGBM", "FitStarted")[-1]["resumed_from_step"] >= 40
        assert not all_events(store, "LeaseExpired", "FitFailed")


def test_a_second_daemon_of_a_host_is_refused_on_the_same_log(tmp_path: Path) -> None:
    """Other results and drop folder, the same log and host: it ends and says who is there."""
    settings = settings_in(tmp_path / "one")
    second = replace(settings_in(tmp_path / "two"), database_url=settings.database_url)
    with running(settings) as host:
        await_log(settings, "daemon ready")
        with running(second) as other:
            assert other.wait(PATIENCE_SECONDS) != 0
        refusal = (tmp_path / "two" / "host.log").read_text(encoding="utf-8")
        assert f"another daemon already works here as host {own_identity().host}: pid {host.pid}" in refusal
        with running(replace(second, host_name="another-name")) as other:
            await_store(settings, lambda store: len(store.reading.hosts()) == 2, "second host")
            assert stopped(other) == 0
        kill(host)
    with running(second) as other:  # the row of the killed one locks nobody out
        await_store(settings, lambda store: len(all_events(store, "DaemonStarted")) == 3, "start")
        assert stopped(other) == 0


@pytest.mark.slow
def test_an_upgrade_in_mid_plan_goes_on_where_it_was(tmp_path: Path) -> None:
    """A log of the schema before, its plan open and its fit saved: the daemon migrates it and goes on."""
    settings = place(tmp_path, families=("LightGBM",))
    with running(settings) as host:
        await_store(settings, is_ready, "daemon")
        with open_store(settings.database_url) as store:
            await_checkpoint(store, "LightGBM", step=80)
        kill(host)
    before = as_written_before(settings.database_url)
    with running(settings) as host:
        await_store(settings, resumed, "second start")
        assert stopped(host) == 0
    with open_store(settings.database_url) as store:
        assert [event.seq for event in all_events(store)][:before] == list(range(1, before + 1))
        assert events_of(store, "LightGBM", "FitStarted")[1]["resumed_from_step"] >= 80
        assert store.verify().ok
