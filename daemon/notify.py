"""Words for systemd (sd_notify(3)) in the standard library: ready, alive, stopping, and a line of status."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
STATUS_SECONDS = 1.0  # between two lines of status at least
BEATS = 3  # in each period of the watchdog


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

    def starting(self, status: str, *, within_seconds: float) -> None:
        """Say what must be done before work can begin, and how long that may take."""
        self._send(f"STATUS={_line(status)}\nEXTEND_TIMEOUT_USEC={int(within_seconds * 1e6)}")

    def ready(self, status: str) -> None:
        """Say that work has begun."""
        self._send(f"READY=1\nSTATUS={_line(status)}\nMAINPID={os.getpid()}")

    def alive(self, status: str | None = None) -> None:
        """Say that the loop still turns, and what it is at."""
        self._send("WATCHDOG=1" + (f"\nSTATUS={_line(status)}" if status else ""))

    def status(self, status: str) -> None:
        """Say what the daemon is at."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str, *, within_seconds: float) -> None:
        """Say that the end has begun and how long it may take; said again it may take so long from then."""
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


class Pulse:
    """The daemon's sign of life to its service manager, given by the loop itself as it goes along.

    No thread and no timer gives it: a loop that hangs in a call gives none, and is ended and started anew.
    """

    def __init__(
        self,
        notifier: Notifier,
        status: Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifier, self._status, self._clock = notifier, status, clock
        self._said, self._say_at, self._beat_at = "", float("-inf"), float("-inf")

    @property
    def patience(self) -> float:
        """The seconds that the loop may wait before it must come by again."""
        watchdog = self._notifier.watchdog_seconds
        return float("inf") if watchdog is None else watchdog / BEATS

    def beat(self) -> None:
        """Say that the loop turns, when it is time to, and what it is at, when that has changed."""
        now = self._clock()
        if self._notifier.watchdog_seconds is not None and now >= self._beat_at:
            self._beat_at = now + self.patience
            self._tell(self._notifier.alive, now)
        elif now >= self._say_at and (status := self._status()) != self._said:
            self._said, self._say_at = status, now + STATUS_SECONDS
            self._notifier.status(status)

    def _tell(self, say: Callable[[str], None], now: float) -> None:
        self._said, self._say_at = self._status(), now + STATUS_SECONDS
        say(self._said)


def _line(text: str) -> str:
    return " ".join(text.split())
