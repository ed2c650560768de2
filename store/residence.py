"""One daemon for each host of a store: a lock that ends with the process that holds it, however that ends.

With SQLite the kernel keeps the lock, on a file beside the database; with Postgres the server does, for the
life of a connection. No row says who is there: a row outlives the one it speaks of.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol

from store.database import is_memory, is_sqlite, sqlite_path
from store.errors import DatabaseUnavailable, DatabaseUnsafe, HostTaken

_HOLDER_BYTES = 1000
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


class Residence(Protocol):
    """The place of a daemon on its host, held until `close` or the end of the process."""

    def is_held(self) -> bool:
        """Whether the place is still held; taken again where the server had let go of it and nobody came."""

    def close(self) -> None:
        """Give the place up."""


class FileResidence:
    """A place that the kernel keeps by a lock on a file, whose content says who holds it."""

    def __init__(self, path: Path, *, host: str, holder: str) -> None:
        """Take the place; raises HostTaken, OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(self._descriptor, _HOLDER_BYTES, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise HostTaken(host=host, holder=other, where=str(path)) from error
        with suppress(OSError):  # a full disk takes no name, and the lock holds without one
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{holder}\n".encode(), 0)

    def is_held(self) -> bool:
        """Return True: the kernel keeps it while the file is open."""
        return self._descriptor >= 0

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class NoResidence:
    """The place of a store in this process's own memory, which nobody else can work on."""

    def is_held(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Nothing is held."""


def take_residence(url: str, host: str, *, holder: str) -> Residence:
    """Take the one daemon's place of a host on the store at an address.

    Raises:
        HostTaken: another process holds it; says which one where that is known.
        DatabaseUnavailable: the database does not answer, or its disk takes no file.
        DatabaseUnsafe: there is no such kind of database, or its directory is not to be written.
    """
    if is_memory(url):
        return NoResidence()
    if not is_sqlite(url):
        home = import_module("store.postgres_residence")
        found: Residence = home.PostgresResidence(url, host=host, holder=holder)
        return found
    path = sqlite_path(url).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileResidence(path.with_name(_lock_name(path, host)), host=host, holder=holder)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise DatabaseUnsafe(
            url=url,
            sentence=f"its directory cannot be worked in ({error.strerror}: {error.filename})",
            fix="Give the daemon the right to write there, or name another place: database_url",
        ) from error
    except OSError as error:
        raise DatabaseUnavailable(url=url, cause=f"{error.strerror or error} ({error.filename})") from error


def _lock_name(path: Path, host: str) -> str:
    return f"{path.name}.{_UNSAFE.sub('_', host)[:80]}.lock"
