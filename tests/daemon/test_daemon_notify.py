"""The words for the service manager."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from daemon_samples import FakeClock

from daemon.notify import STATUS_SECONDS, Notifier, Pulse


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears(abstract: bool, tmp_path: Path) -> None:
    """Ready, alive and stopping arrive as systemd wants them, over a path or an abstract address."""
    address = f"@trainwright-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        notifier = Notifier(address)
        notifier.ready("waiting\nfor plans")
        assert manager.recv(1000).decode() == f"READY=1\nSTATUS=waiting for plans\nMAINPID={os.getpid()}"
        notifier.alive("training")
        assert manager.recv(1000) == b"WATCHDOG=1\nSTATUS=training"
        notifier.stopping("bye", within_seconds=2)
        assert manager.recv(1000) == b"STOPPING=1\nSTATUS=bye\nEXTEND_TIMEOUT_USEC=7000000"


@pytest.mark.parametrize("address", [None, "", "no/where", "/no/where/at/all"])
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    """No address, a wrong one, or nobody behind it: the daemon goes on."""
    Notifier(address).ready("x")


def test_the_environment_is_taken() -> None:
    """The watchdog's period is read, and children do not inherit the variables."""
    environ = {
        "NOTIFY_SOCKET": "@x",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "p",
    }
    assert Notifier.from_environment(environ).watchdog_seconds == 3.0
    assert environ == {"PATH": "p"}


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    """A period meant for another process is passed over."""
    environ = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}
    assert Notifier.from_environment(environ).watchdog_seconds is None


class Heard(Notifier):
    """A notifier whose words stay here."""

    def __init__(self, watchdog_seconds: float | None = None) -> None:
        super().__init__(None, watchdog_seconds=watchdog_seconds)
        self.words: list[str] = []

    def _send(self, words: str) -> None:
        self.words.append(words)


def test_the_pulse_beats_as_often_as_the_watchdog_needs() -> None:
    """Three times in its period, with what the daemon is at; between two beats it is silent."""
    notifier, clock = Heard(watchdog_seconds=6.0), FakeClock()
    pulse = Pulse(notifier, lambda: "training", clock=clock)
    assert pulse.patience == 2.0
    for _ in range(7):
        pulse.beat()
        pulse.beat()
        clock.now += 1.0
    assert notifier.words == ["WATCHDOG=1\nSTATUS=training"] * 4


def test_what_the_daemon_is_at_is_told_when_it_changes() -> None:
    """Also without a watchdog, once a second at most, and not again while it is the same."""
    notifier, clock, words = Heard(), FakeClock(), ["waiting"]
    pulse = Pulse(notifier, lambda: words[0], clock=clock)
    assert pulse.patience == float("inf")
    pulse.beat()
    words[0] = "training"
    pulse.beat()
    assert notifier.words == ["STATUS=waiting"]
    clock.now += STATUS_SECONDS
    pulse.beat()
    clock.now += STATUS_SECONDS
    pulse.beat()
    assert notifier.words == ["STATUS=waiting", "STATUS=training"]


def test_a_start_and_a_reload_are_told() -> None:
    """The manager is asked for time, and hears that a configuration is read."""
    notifier = Heard()
    notifier.starting("opening\nthe log", within_seconds=2.5)
    notifier.reloading()
    assert notifier.words[0] == "STATUS=opening the log\nEXTEND_TIMEOUT_USEC=2500000"
    assert notifier.words[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
