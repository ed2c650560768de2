"""Looks through the drop folder and says which directories are complete. It decides nothing about plans.

Complete is what was renamed in whole, what has `.ready` in it, or what has not changed for the settle time
and whose master plan is whole JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from daemon.dropped import Look, look, opened, read_master
from daemon.errors import InboxUnsafe, Refused
from daemon.shelves import SHELVES

IGNORED_ENDINGS = (".tmp", ".part", "~")
PATIENCE = 5  # times the settle time, until what is not whole is taken for broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A complete plan: the bytes that were read, once, and where they lay; `uid` owns the directory."""

    name: str
    content: bytes
    path: str
    sha256: str
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Something that will never be a plan, and why."""

    name: str
    refused: Refused


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a name looked like, and since when it has looked like that."""

    look: object
    since: float


class Inbox:
    """The drop folder; `open` first. Not thread safe."""

    def __init__(
        self, directory: Path, *, settle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.directory = directory
        self.descriptor = -1
        self.considered: str | None = None  # the name being looked at
        self._settle_seconds, self._clock = settle_seconds, clock
        self._seen: dict[str, _Seen] = {}
        self._moved_in: set[str] = set()
        self._left_alone: dict[str, object] = {}

    def open(self) -> None:
        """Make the folder and its shelves if they are missing and hold on to it.

        Raises:
            InboxUnsafe: everybody may write into it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if os.fstat(self.descriptor).st_mode & stat.S_IWOTH:
            self.close()
            raise InboxUnsafe(
                self.directory,
                "everybody on this machine may write into it",
                f"chmod o-w {self.directory}",
            )
        for shelf in SHELVES:
            (self.directory / shelf).mkdir(exist_ok=True)

    def close(self) -> None:
        """Let go of the folder."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    @property
    def unsettled(self) -> bool:
        """Whether something lies there that is not complete yet."""
        return bool(self._seen)

    def scan(
        self, *, moved_in: Collection[str] = (), busy: Collection[str] = ()
    ) -> tuple[Dropped | Unfit, ...]:
        """Return what has become complete, or will never be a plan.

        Args:
            moved_in: names known to have been renamed in whole.
            busy: names to pass over.
        """
        self._moved_in |= set(moved_in)
        with os.scandir(self.descriptor) as entries:
            names = sorted(entry.name for entry in entries if not _ignored(entry.name))
        for known in (self._seen, self._left_alone):
            for gone in set(known) - set(names):
                del known[gone]
        self._moved_in &= set(names)
        found = []
        for name in names:
            if name not in busy:
                self.considered = name
                found.append(self._consider(name))
        self.considered = None
        return tuple(one for one in found if one is not None)

    def forget(self, name: str) -> None:
        """Take a name as never seen: it was moved away, or is to be looked at anew."""
        self._seen.pop(name, None)
        self._moved_in.discard(name)

    def leave_alone(self, name: str) -> None:
        """Pass over a name that cannot be moved away until it looks different."""
        self.forget(name)
        self._left_alone[name] = self._outside(name)

    def _consider(self, name: str) -> Dropped | Unfit | None:
        if name in self._left_alone:
            if self._left_alone[name] == self._outside(name):
                return None
            del self._left_alone[name]
        try:
            with opened(self.descriptor, name) as directory_fd:
                seen = look(directory_fd)
                quiet_seconds = self._quiet_seconds(name, seen)
                whole = seen.ready or name in self._moved_in
                if quiet_seconds < self._settle_seconds and not whole:
                    return None
                read = read_master(directory_fd)
                if look(directory_fd) != seen:  # changed while it was read
                    return None
        except Refused as refused:
            if self._quiet_seconds(name, (str(refused), self._outside(name))) < self._settle_seconds:
                return None
            return Unfit(name=name, refused=refused)
        return self._judged(name, seen, read, quiet_seconds)

    def _judged(
        self, name: str, seen: Look, read: tuple[bytes, str] | None, quiet_seconds: float
    ) -> Dropped | Unfit | None:
        problem = _incomplete(read)
        if read is not None and problem is None:
            content, path = read
            digest = hashlib.sha256(content).hexdigest()
            return Dropped(name=name, content=content, path=path, sha256=digest, uid=seen.uid)
        if not seen.ready and quiet_seconds < self._settle_seconds * PATIENCE:
            return None
        where = read[1] if read else "master_training_plan.json"
        return Unfit(
            name=name,
            refused=Refused(
                problem or "it is not complete",
                where=where,
                fix="Write the whole plan elsewhere on the same file system and rename it in",
            ),
        )

    def _quiet_seconds(self, name: str, seen: object) -> float:
        """Return how long the name has looked like this."""
        before = self._seen.get(name)
        if before is None or before.look != seen:
            before = self._seen[name] = _Seen(seen, self._clock())
        return self._clock() - before.since

    def _outside(self, name: str) -> object:
        """Return what a name looks like without going in."""
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.endswith(IGNORED_ENDINGS) or name in SHELVES


def _incomplete(read: tuple[bytes, str] | None) -> str | None:
    """Return why what was read cannot be a whole plan (yet), None when it can."""
    if read is None:
        return "there is no master_training_plan.json in it"
    content, path = read
    try:
        json.loads(content)
    except RecursionError:
        return None  # whole; the document's reader has words for it
    except ValueError as error:
        return f"{path} is no whole JSON: {error}"
    return None
