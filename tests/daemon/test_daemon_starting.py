"""The way to the event log: what may come is waited for, what waiting cannot mend ends the start."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import settings_in

from daemon import starting
from daemon.errors import AlreadyServing
from daemon.identity import own_identity
from daemon.lock import held_lock
from daemon.notify import Notifier
from daemon.register import BEAT_SECONDS, BEAT_SECONDS_ALONE, TROUBLE_LENGTH_MAX, Register
from daemon.settings import Settings
from daemon.starting import holder_words, opened_store
from daemon.stopping import leaving_at_once
from store.errors import DatabaseUnavailable, HostTaken
from store.plan_store import PlanStore, open_store


class Heard(Notifier):
    """A notifier whose words stay here."""

    def __init__(self) -> None:
        super().__init__(None)
        self.words: list[str] = []

    def _send(self, words: str) -> None:
        self.words.append(words)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation."""
    return settings_in(tmp_path, attempts_max=7)


def failing(times: int, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that raises so many times before it does what it does."""
    left = iter(range(times))

    def called(*words: Any, **more: Any) -> Any:
        if next(left, None) is not None:
            raise error
        return real(*words, **more)

    return called


def opened(settings: Settings, slept: list[float], *, patient: bool = True) -> tuple[list[str], PlanStore]:
    """Open the log and close it again; returns what the service manager heard."""
    notifier = Heard()
    with opened_store(settings, own_identity(), notifier, patient=patient, sleep=slept.append) as (store, _):
        return notifier.words, store


def test_a_log_that_is_away_is_waited_for_longer_each_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager is told what for and asked for time; then the log is opened by the host's own policy."""
    error = DatabaseUnavailable(url="x", cause="connection\nrefused")
    monkeypatch.setattr(starting, "open_store", failing(7, error, open_store))
    slept: list[float] = []
    words, store = opened(settings, slept)
    assert slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert words[0].startswith("STATUS=opening the event log\n")
    assert words[1].startswith("STATUS=waiting for the event log: connection refused\nEXTEND_TIMEOUT_USEC=")
    assert store._policy.attempts_max == 7


def test_nobody_waits_who_was_asked_to_work_and_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who drains is told at once that the log is away."""
    monkeypatch.setattr(
        starting, "open_store", failing(1, DatabaseUnavailable(url="x", cause="y"), open_store)
    )
    with pytest.raises(DatabaseUnavailable):
        opened(settings, [], patient=False)


def test_a_full_disk_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the lock can be made: somebody may make room. A right that is missing stays missing."""
    full = OSError(errno.ENOSPC, "No space left on device", "lock")
    monkeypatch.setattr(starting, "held_lock", failing(2, full, held_lock))
    slept: list[float] = []
    opened(settings, slept)
    assert len(slept) == 2
    denied = PermissionError(errno.EACCES, "Permission denied", "lock")
    monkeypatch.setattr(starting, "held_lock", failing(1, denied, held_lock))
    with pytest.raises(PermissionError):
        opened(settings, [])


def test_the_place_of_a_machine_that_lost_its_power_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server has not noticed yet; the holder of this very boot is alive, and is not waited for."""
    here = own_identity()
    gone = HostTaken(host=here.host, holder=holder_words(replace(here, boot_id="before")), where="x")
    monkeypatch.setattr(starting, "take_residence", failing(3, gone, starting.take_residence))
    slept: list[float] = []
    opened(settings, slept)
    assert len(slept) == 3
    alive = HostTaken(host=here.host, holder=holder_words(here), where="x")
    monkeypatch.setattr(starting, "take_residence", failing(1, alive, starting.take_residence))
    with pytest.raises(HostTaken):
        opened(settings, [])


def test_the_place_of_a_daemon_that_has_just_been_killed_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was frozen meanwhile still keeps it; refused for that, the service would stay down."""
    here = own_identity()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    killed = HostTaken(host=here.host, holder=holder_words(replace(here, pid=ended.pid)), where="x")
    monkeypatch.setattr(starting, "take_residence", failing(2, killed, starting.take_residence))
    slept: list[float] = []
    opened(settings, slept)
    assert len(slept) == 2


def test_the_place_of_another_machine_of_the_same_name_is_not_waited_for_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server gives up a dead machine within seconds; who is there longer is alive."""
    here = own_identity()
    other = HostTaken(host=here.host, holder=holder_words(replace(here, boot_id="other")), where="x")
    monkeypatch.setattr(starting, "take_residence", failing(1000, other, starting.take_residence))
    monkeypatch.setattr(starting, "LINGER_SECONDS", -1.0)
    with pytest.raises(HostTaken):
        opened(settings, [])


def test_results_that_are_worked_on_are_refused_at_once(settings: Settings) -> None:
    """The lock of the results directory is held by a living process: there is nothing to wait for."""
    with held_lock(settings.results_dir / "daemon.lock", "pid 7 on elsewhere"), pytest.raises(AlreadyServing):
        opened(settings, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_the_start_wherever_it_is(number: signal.Signals) -> None:
    """SIGHUP is passed over; afterwards all mean what they meant."""
    before, causes = signal.getsignal(number), list[str]()
    with leaving_at_once(causes.append):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(number)
    assert causes == [f"stopped by {number.name}"]
    assert signal.getsignal(number) is before


def test_a_signal_is_not_lost_in_a_callback_of_the_interpreter() -> None:
    """Where an exception would be swallowed, as in the end of an object, the process ends all the same."""
    words = (
        "import os, signal\n"
        "from daemon.stopping import leaving_at_once\n"
        "class Ends:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGTERM)\n"
        "with leaving_at_once():\n"
        "    Ends()\n"
        "print('went on')"
    )
    said = subprocess.run([sys.executable, "-P", "-c", words], capture_output=True, text=True, check=True)
    assert said.stdout == ""


@pytest.fixture
def silent_log(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """The register of a daemon that has begun and whose log does not answer any more."""
    with open_store(settings.database_url) as store:
        register = Register(settings, store, own_identity())
        register.start()

        def silent(_self: PlanStore, _word: object) -> int:
            raise DatabaseUnavailable(url="x", cause="y")

        with monkeypatch.context() as patched:
            patched.setattr(PlanStore, "daemon_said", silent)
            yield register
        register.close()


def test_a_stop_that_the_log_does_not_hear_is_told_by_the_next_start(
    settings: Settings, silent_log: Register
) -> None:
    """The words wait in a file for whoever comes next."""
    silent_log.stopped("stopped by SIGTERM", seconds=1.0, ended=0)
    said = json.loads((settings.results_dir / "daemon.json").read_text(encoding="utf-8"))
    assert said["words"] == "stopped: stopped by SIGTERM, while the event log did not answer"
    with open_store(settings.database_url) as store:
        again = Register(settings, store, replace(own_identity(), started=1))
        again.start()
        again.close()
        starts = store.events(kinds=("DaemonStarted",))
        assert starts[-1].data["previous_stop"] == said["words"]
        assert starts[-1].data["previous_stop_at"] >= starts[0].data.get("booted_at", "")


def test_an_error_that_ends_the_daemon_is_told_by_the_next_start(
    settings: Settings, silent_log: Register
) -> None:
    """Its kind and its words, not only that there was no stop."""
    silent_log.failed(OSError(errno.EMFILE, "Too many open files"))
    with open_store(settings.database_url) as store:
        again = Register(settings, store, replace(own_identity(), started=1))
        again.start()
        again.close()
        told = store.events(kinds=("DaemonStarted",))[-1].data["previous_stop"]
    assert told.startswith("it ended with an error: OSError: [Errno 24] Too many open files")


def test_a_daemon_beats_beside_the_log(settings: Settings) -> None:
    """Others see when it was there last and what it had at work, and nothing is added to the log for it."""
    seconds, began = [0.0], datetime.now(UTC)
    with open_store(settings.database_url, clock=lambda: began + timedelta(seconds=seconds[0])) as store:
        here = own_identity()
        register = Register(settings, store, here, running=lambda: 3, clock=lambda: seconds[0])
        register.start()
        row, head = store.reading.host(here.host), store.head_seq()
        assert (row.running, row.machine, row.labels) == (3, here.machine, settings.own_labels)
        seconds[0] += BEAT_SECONDS_ALONE / 2
        register.turn()
        assert store.reading.host(here.host).beat_at == row.beat_at
        seconds[0] += BEAT_SECONDS_ALONE
        register.turn()
        later = store.reading.host(here.host).beat_at
        assert row.beat_at is not None
        assert later is not None
        assert later > row.beat_at
        assert store.head_seq() == head


def test_trouble_is_told_before_the_next_beat_is_due(settings: Settings) -> None:
    """When it begins and when it is over, but not more often than hosts beat that share a log."""
    seconds, trouble = [0.0], [""]
    with open_store(settings.database_url) as store:
        here = own_identity()
        register = Register(settings, store, here, trouble=lambda: trouble[0], clock=lambda: seconds[0])

        def told() -> str | None:
            register.turn()
            return store.reading.host(here.host).trouble

        register.start()
        assert told() is None
        trouble[0] = "the place of artefacts is away: " + "x" * 1000
        assert told() is None
        seconds[0] += BEAT_SECONDS
        assert (told() or "").startswith("the place of artefacts is away: x")
        assert len(told() or "") == TROUBLE_LENGTH_MAX
        trouble[0] = ""
        seconds[0] += BEAT_SECONDS
        assert told() is None


def test_a_log_that_takes_no_beat_ends_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses it like every word; the fits and what they say are another matter."""
    with open_store(settings.database_url) as store:
        full = DatabaseUnavailable(url="x", cause="database or disk is full")
        monkeypatch.setattr(store, "beat", failing(9, full, store.beat))
        register = Register(settings, store, own_identity())
        register.start()
        assert store.reading.host(own_identity().host).beat_at is None
