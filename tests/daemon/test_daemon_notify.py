"""The words for the service manager."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from daemon.notify import Notifier


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
