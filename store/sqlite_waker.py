"""Waking on SQLite: the kernel tells that the write-ahead log was written, SQLite what came of it.

A commit is written first and visible a moment later, once it is durable. So a hint starts a short time of
looking, at most a hundred times a second however busy the others are. Without any writer a waiting host
does nothing at all. Where the kernel gives no hints the host looks all the time.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import struct
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from store.waking import LOOK_SECONDS, REST_SECONDS

# After a hint: between two looks at first, and later on, for a commit that takes its time to be durable.
SOON_SECONDS, SOON_LOOK_SECONDS = 0.15, 0.01
LATER_SECONDS, LATER_LOOK_SECONDS = 2.0, 0.05
_MODIFIED, _DELETED, _MOVED_AWAY, _IGNORED = 0x2, 0x400, 0x800, 0x8000  # linux/inotify.h
_WATCHED = _MODIFIED | _DELETED | _MOVED_AWAY
_GONE = _DELETED | _MOVED_AWAY | _IGNORED
_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 4096


class SqliteWaker:
    """Watches one file of SQLite; used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._hints = _Hints(path.with_name(path.name + "-wal"))
        self._hinted_at = float("-inf")

    def fileno(self) -> int:
        """Return the descriptor of the hints; -1 just after one, so that no writer sets the pace."""
        return -1 if self._hinted_for() < SOON_SECONDS else self._hints.fileno()

    def patience(self, *, expecting: bool) -> float:  # noqa: ARG002 - the kernel tells in any case
        """Return the seconds after which to look in any case."""
        hinted = self._hinted_for()
        if hinted < LATER_SECONDS:
            return SOON_LOOK_SECONDS if hinted < SOON_SECONDS else LATER_LOOK_SECONDS
        return REST_SECONDS if self._hints.working else LOOK_SECONDS

    def moved(self) -> bool:
        """Return whether anybody has committed since the last call; True too when the file cannot be read."""
        if self._hints.heard():
            self._hinted_at = time.monotonic()
        try:
            version = self._data_version()
        except sqlite3.Error:
            self._disconnect()
            return True
        before, self._version = self._version, version
        return version != before

    def gone(self, workers: Collection[str]) -> frozenset[str]:  # noqa: ARG002
        """Return none: all workers are processes of this host, and their ends are seen without it."""
        return frozenset()

    def close(self) -> None:
        """Close the connection and the descriptor of the hints."""
        self._disconnect()
        self._hints.close()

    def _hinted_for(self) -> float:
        """Return the seconds since the last hint."""
        return time.monotonic() - self._hinted_at

    def _data_version(self) -> int:
        """Return a number that changes with every commit of another connection.

        Three microseconds, and nobody waits for it: https://sqlite.org/pragma.html#pragma_data_version.
        """
        if self._connection is None:
            address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, isolation_level=None)
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._version = None, -1


class _Hints:
    """A watch on one file that may come and go, https://man7.org/linux/man-pages/man7/inotify.7.html."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.working = False

    def fileno(self) -> int:
        """Return the descriptor, -1 when the kernel gave none."""
        return int(self._descriptor)

    def heard(self) -> bool:
        """Return whether the file may have been written since the last call; watch it if nobody does yet."""
        heard, gone = not self.working, False
        with suppress(OSError):  # nothing to read, or no descriptor
            while data := os.read(self._descriptor, _BUFFER_BYTES):
                heard = True
                gone = gone or any(mask & _GONE for mask in _masks(data))
        if gone or not self.working:
            self.working = self._watch()
        return heard

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self.working = -1, False

    def _watch(self) -> bool:
        name = os.fsencode(self._path)
        return int(self._libc.inotify_add_watch(self._descriptor, name, _WATCHED)) >= 0


def _masks(data: bytes) -> list[int]:
    """Return the masks of the events in a buffer that was read from inotify."""
    masks, place = [], 0
    while place < len(data):
        _, mask, _, length = _EVENT.unpack_from(data, place)
        masks.append(mask)
        place += _EVENT.size + length
    return masks
