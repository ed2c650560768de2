"""One bell for all that happens outside the loop: threads and signals ring, the loop keeps its own pace."""

from __future__ import annotations

import contextlib
import os
from collections import deque


class Bell:
    """Names of things that are due, and a descriptor that becomes readable when there are any.

    `ring` may be called from any thread and from a signal's function; the rest from the loop alone.
    """

    def __init__(self) -> None:
        self._names: deque[str] = deque()
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read_fd

    def ring(self, name: str) -> None:
        """Say that something is due; saying it twice before it is heard is saying it once."""
        self._names.append(name)
        with contextlib.suppress(BlockingIOError):  # a full pipe is readable already
            os.write(self._write_fd, b"!")

    def heard(self) -> frozenset[str]:
        """Return what is due since the last call, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read_fd, 4096):
                pass
        names: set[str] = set()
        with contextlib.suppress(IndexError):
            while True:
                names.add(self._names.popleft())
        return frozenset(names)

    def close(self) -> None:
        """Close the descriptors; the bell is not rung afterwards."""
        os.close(self._read_fd)
        os.close(self._write_fd)
