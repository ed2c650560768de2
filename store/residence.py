"""One daemon for each host of a store: a lock that ends with the process that holds it, however that ends.

With SQLite the kernel keeps the lock, on a file beside the database; with Postgres the server does, for the
life of a connection. No row says who is there: a row outlives the one it speaks of.

Where several hosts work on one store, some duties are for one of them: to tell people, to seal, to back up.
That is a lock as well, by the duty's name, and belongs to the place: whoever comes first has the duty, and
the next one has it as soon as that one's place is gone.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol

from store.database import is_memory, is_sqlite, sqlite_path
from store.errors import DatabaseUnavailable, DatabaseUnsafe, HostTaken

DUTY_SECONDS = 5.0  # between two tries to take a duty that somebody else has
_HOLDER_BYTES = 1000
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


class Residence(Protocol):
    """The place of a daemon on its host, held until `close` or the end of the process."""

    def is_held(self) -> bool:
        """Whether the place is still held; taken again where the server had let go of it and nobody came."""

    def has(self, duty: str) -> bool:
        """Whether this place has a duty that only one of all hosts does; taken where nobody has it.

        Asked again and again it answers at once, but for a look every few seconds.
        """

    def leave(self, duty: str) -> None:
        """Let another place have a duty; nothing where this one has not got it."""

    def close(self) -> None:
        """Give the place up."""


class FileResidence:
    """A place that the kernel keeps by a lock on a file, whose content says who holds it."""

    def __init__(self, database: Path, *, host: str, holder: str) -> None:
        """Take the place; raises HostTaken, OSError."""
        self._database, self._host, self._holder = database, host, holder
        self._descriptor = self._locked(_file_name(database, host, "lock"))
        self._duties: dict[str, int] = {}
        self._try_at: dict[str, float] = {}

    def is_held(self) -> bool:
        """Return True: the kernel keeps it while the file is open."""
        return self._descriptor >= 0

    def has(self, duty: str) -> bool:
        """Whether this place has a duty; a file that cannot be made is tried again later."""
        if duty not in self._duties and self.is_held() and time.monotonic() >= self._try_at.get(duty, 0.0):
            self._try_at[duty] = time.monotonic() + DUTY_SECONDS
            with suppress(HostTaken, OSError):
                self._duties[duty] = self._locked(_file_name(self._database, duty, "duty"))
        return duty in self._duties

    def leave(self, duty: str) -> None:
        """Let go of the duty's file."""
        if duty in self._duties:
            os.close(self._duties.pop(duty))

    def close(self) -> None:
        """Let go of the files."""
        for duty in tuple(self._duties):
            self.leave(duty)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _locked(self, name: str) -> int:
        """Return the descriptor of a file that this process has locked; raises HostTaken, OSError."""
        path = self._database.with_name(name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(descriptor, _HOLDER_BYTES, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise HostTaken(host=self._host, holder=other, where=str(path)) from error
        with suppress(OSError):  # a full disk takes no name, and the lock holds without one
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{self._holder}\n".encode(), 0)
        return descriptor


class NoResidence:
    """The place of a store that nobody else can work on, in this process's own memory: it has every duty."""

    def is_held(self) -> bool:
        """Return True."""
        return True

    def has(self, duty: str) -> bool:  # noqa: ARG002 - there is nobody else
        """Return True."""
        return True

    def leave(self, duty: str) -> None:
        """Nothing: nobody else would take it."""

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
        return FileResidence(path, host=host, holder=holder)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise DatabaseUnsafe(
            url=url,
            sentence=f"its directory cannot be worked in ({error.strerror}: {error.filename})",
            fix="Give the daemon the right to write there, or name another place: database_url",
        ) from error
    except OSError as error:
        raise DatabaseUnavailable(url=url, cause=f"{error.strerror or error} ({error.filename})") from error


def _file_name(path: Path, name: str, kind: str) -> str:
    return f"{path.name}.{_UNSAFE.sub('_', name)[:80]}.{kind}"
