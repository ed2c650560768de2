"""One daemon per results directory: a lock the kernel lets go of with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.errors import AlreadyServing


@contextmanager
def held_lock(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock on a file; `holder` is written into it for whoever comes second.

    Raises:
        AlreadyServing: another process holds it; names that one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
            raise AlreadyServing(path.parent, other or "a process that did not say its name") from error
        with suppress(OSError):  # a full disk takes no name, and the lock holds without one
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{holder}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
