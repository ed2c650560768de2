"""Looks through the drop folder and takes copies of what is complete. It decides nothing about plans.

Complete is what was renamed in whole, what has `.ready` in it, or what has not changed for the settle time.
Whether its master plan is whole is for whoever reads the copy; one that is not yet is waited for some time.

The folder itself may be removed, replaced or opened to everybody at any moment: then nothing is taken,
`trouble` says why, and it is taken up again as soon as it can be.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.beneath import DIRECTORY
from daemon.dropped import (
    MASTER_BYTES_MAX,
    Copied,
    Look,
    copy_master,
    lacking_words,
    look,
    opened,
)
from daemon.errors import InboxUnsafe, Refused
from daemon.shelves import SHELVES, make_shelves

IGNORED_ENDINGS = (".tmp", ".part", "~")
PATIENCE = 5  # times the settle time, until what is not whole is taken for broken
WAITED_SHARE = 20  # times its cost, at least, until a name that is not complete is looked at again


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A complete directory: a private copy of its plan, and where it lay.

    Attributes:
        copy: the private file.
        final: whether it is refused if it is not whole; else it may still become so.
        uids: the owners of the directory and of its plan.
    """

    name: str
    copy: Path
    found: Copied
    look: Look
    final: bool

    @property
    def uids(self) -> tuple[int, ...]:
        """Who owns the directory, and who its plan."""
        return tuple(dict.fromkeys((self.look.uid, self.found.uid)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Something that will never be a plan, and why; `mark` tells it from every other thing of its name."""

    name: str
    refused: Refused
    mark: tuple[int, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What a name looked like, since when, when to look again, and what is not whole about it."""

    look: object
    since: float
    due_at: float = 0.0
    lacks: Refused | None = None


class Inbox:
    """The drop folder; `open` first. Not thread safe."""

    def __init__(
        self,
        directory: Path,
        *,
        settle_seconds: float,
        copies: Path | None = None,
        bytes_max: int = MASTER_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self.descriptor = -1
        self.considered: str | None = None  # the name being looked at
        self.trouble: str | None = None
        self._copies = copies or directory.with_name(f".{directory.name}.copies")
        self.settle_seconds, self.bytes_max = settle_seconds, bytes_max
        self._clock = clock
        self._parent: tuple[int, int] | None = None
        self._copied = 0
        self._seen: dict[str, _Seen] = {}
        self._moved_in: set[str] = set()
        self._left_alone: dict[str, object] = {}
        self._due: deque[str] = deque()

    def open(self) -> None:
        """Make the folder and its shelves if they are missing and hold on to it.

        Raises:
            InboxUnsafe: everybody may write into it, or its name is a link.
            OSError: it cannot be made or opened.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._copies.mkdir(parents=True, mode=0o700, exist_ok=True)
        problem, fix = _problem_of(self.directory)
        if problem is not None:
            raise InboxUnsafe(self.directory, problem, fix)
        self._hold()

    def close(self) -> None:
        """Let go of the folder, and of all that was known of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1
        for known in (self._seen, self._left_alone, self._moved_in, self._due):
            known.clear()

    def renew(self) -> bool:
        """Hold on to the folder that now bears the name, and return whether it is another one than before.

        Where there is none that can be used, nothing is held and `trouble` says why.
        """
        before = self.descriptor
        try:
            self._make_again()
            problem, fix = _problem_of(self.directory)
            if problem is not None:
                self._give_up(f"{problem}; {fix}")
            elif before < 0 or _identity(os.fstat(before)) != _identity(self.directory.stat()):
                self.close()
                self._hold()
                return True
        except OSError as error:
            self._give_up(f"it cannot be used: {error.strerror}")
        else:
            self.trouble = None if self.descriptor >= 0 else self.trouble
        return False

    @property
    def unsettled(self) -> bool:
        """Whether something lies there that is not complete yet."""
        return bool(self._seen or self._due)

    @property
    def due(self) -> bool:
        """Whether there is a name to look at now."""
        return bool(self._due)

    def note(self, names: Collection[str]) -> None:
        """Take in names that were renamed in whole; they are looked at first, without a look at the rest."""
        fresh = [name for name in names if not _ignored(name)]
        self._moved_in.update(fresh)
        self._due.extendleft(reversed(fresh))

    def scan(self) -> None:
        """List the folder and find out which names are to be looked at; `found` looks at them."""
        with os.scandir(self.descriptor) as entries:
            names = {entry.name for entry in entries if not _ignored(entry.name)}
        for known in (self._seen, self._left_alone):
            for gone in set(known) - names:
                del known[gone]
        self._moved_in &= names
        now = self._clock()
        due = {name for name in names if (seen := self._seen.get(name)) is None or seen.due_at <= now}
        first = [name for name in self._due if name in due]
        self._due = deque(dict.fromkeys((*first, *sorted(due - set(first)))))

    def found(self, *, busy: Collection[str] = ()) -> Iterator[Dropped | Unfit | None]:
        """Yield for each name that is due what has become complete or will never be a plan; None for neither.

        Args:
            busy: names to pass over.
        """
        while self._due and self.descriptor >= 0:
            name = self._due.popleft()
            if name not in busy:
                self.considered = name
                yield self._consider(name)
        self.considered = None

    def not_whole(self, dropped: Dropped, lacks: Refused) -> None:
        """Hear that a copy is no whole plan: it is refused in a while, unless it looks different by then."""
        seen = self._seen.get(dropped.name)
        if seen is None or seen.look != dropped.look:
            seen = self._seen[dropped.name] = _Seen(dropped.look, self._clock())
        seen.lacks = lacks

    def forget(self, name: str) -> None:
        """Take a name as never seen: it was moved away, or is to be looked at anew."""
        self._seen.pop(name, None)
        self._moved_in.discard(name)

    def leave_alone(self, name: str) -> None:
        """Pass over a name that cannot be moved away until it looks different."""
        self.forget(name)
        self._left_alone[name] = self.outside(name)

    def outside(self, name: str) -> tuple[int, ...] | None:
        """Return what a name looks like without going in; None when it is not there."""
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        return (
            status.st_dev,
            status.st_ino,
            status.st_mode,
            status.st_size,
            status.st_mtime_ns,
        )

    def _hold(self) -> None:
        self.descriptor = os.open(self.directory, DIRECTORY)
        self._parent = _identity(self.directory.parent.stat())
        make_shelves(self.descriptor)
        self.trouble = None

    def _make_again(self) -> None:
        """Make a folder that was removed; not where its parent is another, as when a disk is not mounted."""
        if os.path.lexists(self.directory):
            return
        if self._parent is None or _identity(self.directory.parent.stat()) != self._parent:
            raise FileNotFoundError(None, "it is gone, and so is the directory it was in")
        self.directory.mkdir()

    def _give_up(self, trouble: str) -> None:
        self.close()
        self.trouble = trouble

    def _consider(self, name: str) -> Dropped | Unfit | None:
        began = self._clock()
        outside = self.outside(name)
        if outside is None:
            self.forget(name)
            return None
        if name in self._left_alone:
            if self._left_alone[name] == outside:
                return None
            del self._left_alone[name]
        try:
            with opened(self.descriptor, name) as directory_fd:
                return self._judged(name, directory_fd)
        except Refused as refused:
            if self._quiet_seconds(name, (str(refused), outside)) < self.settle_seconds:
                return None
            return Unfit(name=name, refused=refused, mark=outside)
        finally:
            if (seen := self._seen.get(name)) is not None:
                cost = (self._clock() - began) * max(1, len(self._seen))
                seen.due_at = self._clock() + max(self.settle_seconds / 8, cost * WAITED_SHARE)

    def _judged(self, name: str, directory_fd: int) -> Dropped | Unfit | None:
        seen = look(directory_fd)
        quiet_seconds = self._quiet_seconds(name, seen)
        whole = seen.ready or name in self._moved_in
        if quiet_seconds < self.settle_seconds and not whole:
            return None
        final = seen.ready or quiet_seconds >= self.settle_seconds * PATIENCE
        lacks = self._seen[name].lacks
        if lacks is not None:
            return Unfit(name=name, refused=lacks, mark=seen.inode) if final else None
        self._copied += 1
        copy = self._copies / f"{os.getpid()}-{self._copied}.json"
        try:
            found = copy_master(directory_fd, copy, bytes_max=self.bytes_max)
            if look(directory_fd) != seen:  # changed while it was read
                copy.unlink(missing_ok=True)
                return None
        except (Refused, OSError):
            copy.unlink(missing_ok=True)
            raise
        if found is not None:
            return Dropped(name=name, copy=copy, found=found, look=seen, final=final)
        refused = Refused(
            lacking_words(directory_fd),
            where="master_training_plan.json",
            fix="Write the whole plan elsewhere on the same file system and rename it in",
        )
        return Unfit(name=name, refused=refused, mark=seen.inode) if final else None

    def _quiet_seconds(self, name: str, seen: object) -> float:
        """Return how long the name has looked like this."""
        before = self._seen.get(name)
        if before is None or before.look != seen:
            before = self._seen[name] = _Seen(seen, self._clock())
        return self._clock() - before.since


def _problem_of(directory: Path) -> tuple[str | None, str]:
    """Return why a folder cannot be used, and what to do about it; (None, "") when it can."""
    status = directory.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "its name is a symbolic link, which anybody beside it could turn", (
            f"name the directory itself: inbox_dir = {str(directory.resolve())!r}"
        )
    if not stat.S_ISDIR(status.st_mode):
        return "it is no directory", f"remove {directory}"
    if status.st_mode & stat.S_IWOTH:
        return "everybody on this machine may write into it", f"chmod o-w {directory}"
    return None, ""


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.endswith(IGNORED_ENDINGS) or name in SHELVES
