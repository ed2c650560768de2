"""Words for systemd (sd_notify(3)) in the standard library: ready, alive, stopping, and a line of status."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Speaks to the service manager's socket; silent when there is none, and never in the way."""

    def __init__(self, address: str | None, *, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Return the notifier an environment asks for and take its variables out: children stay silent."""
        address, period, pid = (environ.pop(name, None) for name in _VARIABLES)
        ours = pid is None or pid == str(os.getpid())
        watched = period is not None and period.isdigit() and int(period) > 0 and ours
        return cls(address, watchdog_seconds=int(period) / 1e6 if watched and period else None)

    def ready(self, status: str) -> None:
        """Say that work has begun."""
        self._send(f"READY=1\nSTATUS={_line(status)}\nMAINPID={os.getpid()}")

    def alive(self, status: str | None = None) -> None:
        """Say that the loop still turns, and what it is at."""
        self._send("WATCHDOG=1" + (f"\nSTATUS={_line(status)}" if status else ""))

    def stopping(self, status: str, *, within_seconds: float) -> None:
        """Say that the end has begun and how long it may take."""
        self._send(
            f"STOPPING=1\nSTATUS={_line(status)}\nEXTEND_TIMEOUT_USEC={int((within_seconds + 5) * 1e6)}"
        )

    def _send(self, words: str) -> None:
        if not self._address or self._address[0] not in "/@":
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.settimeout(0)
            channel.sendto(words.encode(), address)


def _line(text: str) -> str:
    return " ".join(text.split())
