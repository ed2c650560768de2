"""The life of a fit's process as its parent sees it: whether it has ended, how, and how to end it.

Everything goes through descriptors of the process (pidfd_open(2)), never through its number alone, which
the kernel may have given to another process by then.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from typing import Protocol


class Life(Protocol):
    """A process and the group it leads."""

    @property
    def pid(self) -> int:
        """Its number."""

    def code(self) -> int | None:
        """Return its exit code (negative: the signal) once it has ended and its group with it, else None."""

    def fileno(self) -> int:
        """Return the descriptor that is readable once there may be an end; -1 when there is none left."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, if it lives."""

    def kill(self) -> None:
        """End the process and its whole group, if it lives."""


class OwnProcess:
    """A process started by this one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._descriptor: int | None = os.pidfd_open(process.pid)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def code(self) -> int | None:
        """Return its exit code once it has ended. Seeing the end also ends what it left in its group."""
        if self._descriptor is not None and is_readable(self._descriptor):
            self._kill_group()
            self._process.wait()
            os.close(self._descriptor)
            self._descriptor = None
        return self._process.returncode

    def awaited(self, seconds: float) -> int | None:
        """Return its exit code, waiting at most so long for its end; None when it goes on."""
        if self.code() is None and self._descriptor is not None:
            is_readable(self._descriptor, seconds)
        return self.code()

    def fileno(self) -> int:
        """Return the descriptor that is readable once it has ended."""
        return -1 if self._descriptor is None else self._descriptor

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, if it lives."""
        if self.code() is None and self._descriptor is not None:
            send_signal(self._descriptor, number)

    def kill(self) -> None:
        """End the process and its whole group, if it lives."""
        if self.code() is None:
            self._kill_group()

    def _kill_group(self) -> None:
        # Called only while the leader is not reaped, so the group's number cannot have passed to others.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def is_readable(descriptor: int, seconds: float = 0.0) -> bool:
    """Whether a descriptor has something to say now, or within so long; a process's: whether it has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def send_signal(descriptor: int, number: signal.Signals) -> None:
    """Send a signal to the process of a descriptor; one that has ended is left alone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)
