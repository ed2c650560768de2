"""The configuration is read again while the daemon works: what is taken, what waits, what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from daemon_samples import FakeChild, accept, all_events, await_that, job, settings_in

from daemon.cli.hosting import NoDaemonHere, NotReloaded, tell_reload
from daemon.errors import Fault, SettingsInvalid
from daemon.host import Host
from daemon.register import Register
from daemon.reloading import reloaded
from daemon.settings import Settings
from executors.contract import Stopped
from store import PlanStore, open_store
from store.events import DaemonStarted
from store.reading import open_reader

SERVE = """
import sys
from pathlib import Path
from daemon.cli.main import main
main(["-C", sys.argv[1], "daemon"])
"""


class Part:
    """A part that takes some settings at once."""

    def __init__(self, *live: str) -> None:
        self.live = frozenset(live)
        self.taken: list[Settings] = []

    def reload(self, settings: Settings) -> None:
        """Take them."""
        self.taken.append(settings)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation."""
    return settings_in(tmp_path)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store with three ready fits."""
    with open_store(sqlite_url) as opened:
        for note in ("a", "b", "c"):
            accept(opened, note=note)
        yield opened


def test_what_some_part_takes_holds_and_the_rest_waits(settings: Settings) -> None:
    """Each part is handed settings in which only what is live has changed."""
    new = replace(settings, cpu_slots=7, lease_seconds=9.0, seed=3)
    first, second = Part("cpu_slots"), Part("seed")
    found = reloaded(settings, lambda: new, (first, object(), second))
    assert (found.changed, found.restart_needed, found.problem) == (
        ("cpu_slots", "seed"),
        ("lease_seconds",),
        "",
    )
    assert first.taken == second.taken == [found.settings]
    assert found.settings == replace(settings, cpu_slots=7, seed=3)


def test_a_configuration_with_faults_changes_nothing(settings: Settings) -> None:
    """The old settings hold, all of them, and the sentence says what is wrong."""

    def broken() -> Settings:
        raise SettingsInvalid([Fault(place="t.toml:3", problem="'x' cannot be cpu_slots", fix="a number")])

    part = Part("cpu_slots")
    found = reloaded(settings, broken, (part,))
    assert found.settings is settings
    assert "t.toml:3" in found.problem
    assert part.taken == []


def test_what_is_not_different_is_handed_to_nobody(settings: Settings) -> None:
    """Reading the same again is no change."""
    part = Part("cpu_slots")
    found = reloaded(settings, lambda: replace(settings), (part,))
    assert (found.changed, found.restart_needed, part.taken) == ((), (), [])


def test_a_host_takes_more_and_fewer_places_while_fits_run(
    settings: Settings, store: PlanStore, tmp_path: Path
) -> None:
    """Fits that run keep their places; only as many start as the new number has room for."""
    children: list[FakeChild] = []

    def begin(_spec: object, _places: object) -> FakeChild:
        children.append(FakeChild())
        return children[-1]

    host = Host(replace(settings, cpu_slots=2), store)
    host.dispatcher._begin = begin
    host.turn()
    assert len(children) == 2
    host.reload(replace(settings, cpu_slots=1))
    host.turn()
    children[0].ends(Stopped(step=0))
    host.turn()
    assert len(children) == 2, "one place, and a fit has it"
    host.reload(replace(settings, cpu_slots=3))
    host.turn()
    assert len(children) == 4
    host.close()


@pytest.mark.slow
def test_labels_hold_from_a_reload_on(tmp_path: Path, sqlite_url: str) -> None:
    """The host claims by the new ones at once, and the log says what it offers from now on."""
    settings = settings_in(tmp_path, gpu_slots=0, labels=["nvme"])
    needy = [{"family": "LightGBM", "needs": {"labels": ["bigmem"]}}]
    with open_store(sqlite_url) as store, closing(Host(settings, store)) as host:
        accept(store, job(["LightGBM"], fits=needy))
        host.dispatcher._begin = lambda *_: FakeChild()
        register = Register(settings, store, host.identity)
        register.start()
        host.turn()
        assert host.dispatcher.running == []
        found = reloaded(settings, lambda: replace(settings, labels=("bigmem",), gpu_slots=1), (host,))
        assert found.changed == ("gpu_slots", "labels")
        register.reloaded(found)
        assert store.reading.host(host.identity.host).labels == ("bigmem", "gpu")
        host.turn()
        assert len(host.dispatcher.running) == 1
        register.close()


def test_a_daemon_is_told_to_read_its_file_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what holds and what waits for a restart; a broken file changes nothing."""
    file = tmp_path / "trainwright.toml"
    file.write_text("[daemon]\nweb_listen = 'off'\ncpu_slots = 1\n", encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'results' / 'trainwright.db'}"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", SERVE, str(tmp_path)], stderr=subprocess.DEVNULL
    ) as host:
        try:
            await_that((tmp_path / "results" / "daemon.json").is_file, "daemon")
            reader = open_reader(url)
            file.write_text(
                "[daemon]\nweb_listen = 'off'\ncpu_slots = 3\nlease_seconds = 7\nwarm_children = false\n",
                encoding="utf-8",
            )
            tell_reload(reader)
            said = capsys.readouterr().out
            assert "cpu_slots" in said
            assert "waiting   warm_children" in said
            file.write_text("[daemon]\ncpu_slots = 'many'\n", encoding="utf-8")
            with pytest.raises(NotReloaded, match="cpu_slots"):
                tell_reload(reader)
            assert host.poll() is None
        finally:
            host.terminate()
            assert host.wait(60) == 0
    with open_store(url) as opened:
        first, second = all_events(opened, "DaemonReloaded")
        assert first.data["cpu_slots"] == second.data["cpu_slots"] == 3
        assert second.data["problem"]


def test_without_a_daemon_here_there_is_nobody_to_tell(sqlite_url: str) -> None:
    """A row of a process that is gone, or of another machine, is nobody; no signal is sent."""
    here_pid = os.getpid()
    before = signal.getsignal(signal.SIGHUP)
    with open_store(sqlite_url) as store:
        worker = f"far/boot/1/{here_pid}/1"
        store.daemon_started(DaemonStarted(worker=worker, host="far", version="0", boot_id="b", pid=here_pid))
        with pytest.raises(NoDaemonHere) as caught:
            tell_reload(store.reading)
    assert caught.value.exit_code == 5
    assert signal.getsignal(signal.SIGHUP) is before
