"""The log file of an attempt, kept within a size: its beginning and its newest end stay, the middle goes.

The fit's process writes into the file by itself, each write at the end there is, so the file can be shortened
under its hands. What it writes in that very moment may be lost.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 1.0
KEPT_SHARE = 8  # of the size allowed: one part of so many stays of the beginning, and of the end


class AttemptLog:
    """Looks at one file from time to time; seconds of the runner's clock."""

    def __init__(self, path: Path, *, bytes_max: int, now: float) -> None:
        self._path, self._bytes_max, self._look_at = path, bytes_max, now + LOOK_SECONDS

    def keep(self, now: float) -> None:
        """Shorten the file if it has grown too long; nothing where it cannot be looked at."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        with suppress(OSError):
            if self._path.stat().st_size > self._bytes_max:
                shorten(self._path, self._bytes_max // KEPT_SHARE)


def shorten(path: Path, kept: int) -> None:
    """Leave so many bytes at either end of a file, at the borders of lines; raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        head = os.pread(descriptor, kept, 0)
        head = head[: head.rfind(b"\n") + 1] or head
        tail = os.pread(descriptor, kept, size - kept)
        tail = tail[tail.find(b"\n") + 1 :] or tail
        left_out = size - len(head) - len(tail)
        end = b"" if head.endswith(b"\n") else b"\n"
        os.ftruncate(descriptor, len(head))
        os.write(
            descriptor, end + f"... {left_out:,} bytes left out, the log was too long ...\n".encode() + tail
        )
    finally:
        os.close(descriptor)
