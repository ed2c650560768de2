"""Looks into a dropped directory and copies its plan out, through descriptors: nothing outside is reached.

A producer may still be writing, and may not be a friend. So every step goes from a descriptor already held
to a name below it, never following a link. The plan is read once: the bytes that are hashed are the bytes
that are copied to a private place, and what is judged is that copy. Nothing here understands a plan.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.beneath import DIRECTORY, NotRegular, open_beneath, open_regular
from daemon.errors import Refused

MASTER_NAMES = ("master_training_plan.json", "training_plan.json")
#: Where a plan lies in what was dropped: the directory itself, or a whole results/ directory.
PLAN_PLACES = ("", "globals/training_plan/", "METRICS/training_plan/")
#: A plan in words for people; it has no master's authority, and is not read.
YAML_NAMES = ("training_plan.yaml", "master_training_plan.yaml", "training_plan.yml")
#: The one link that is a part of the results layout; it is never followed.
KNOWN_LINK = ("METRICS/training_plan", "../globals/training_plan")
READY = ".ready"

MASTER_BYTES_MAX = 64 * 2**20  # tens of thousands of jobs
ENTRIES_MAX = 50_000  # in all: a look takes less than a second
DEPTH_MAX = 12
_COPIED_BYTES = 2**20
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV))
_SHORTAGES = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EAGAIN,
        errno.EINTR,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a dropped directory looked like at one moment; equal looks mean nothing changed in between.

    Attributes:
        digest: of every name below it, with its kind, size, time and inode.
        entries: how many there are.
        ready: whether the producer says that all is there.
        uid: who owns the directory.
        inode: device and number of the directory itself.
    """

    digest: bytes
    entries: int
    ready: bool
    uid: int
    inode: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A master plan, read once: where it lay, and the hash of exactly the bytes that were copied.

    Attributes:
        path: inside what was dropped.
        uid: who owns the file.
        mark: what tells this file from every other: device, inode, size and time of its last change.
    """

    path: str
    sha256: str
    size: int
    uid: int
    mark: tuple[int, ...]


@contextmanager
def opened(parent_fd: int, name: str) -> Iterator[int]:
    """Yield a descriptor of the directory `name` in a directory, never through a link.

    Raises:
        Refused: it is no directory, or cannot be opened.
        OSError: this machine is short of something.
    """
    try:
        descriptor = os.open(name, DIRECTORY, dir_fd=parent_fd)
    except OSError as error:
        raise _no_directory(parent_fd, name, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def look(directory_fd: int) -> Look:
    """Return what the directory holds, without reading a file.

    Raises:
        Refused: it holds a link, a pipe, a device, a file with a second name, a name that is no text,
            or too much.
        OSError: this machine is short of something.
    """
    entries: list[str] = []
    for entry in _walk(directory_fd, ""):
        entries.append(entry)
        if len(entries) > ENTRIES_MAX:
            raise Refused("too many files", where=".", fix="Drop the plan directory alone")
    entries.sort()
    status = os.fstat(directory_fd)
    ready = any(entry.startswith(f"{READY}\0") for entry in entries)
    return Look(
        digest=hashlib.sha256("\n".join(entries).encode()).digest(),
        entries=len(entries),
        ready=ready,
        uid=status.st_uid,
        inode=(status.st_dev, status.st_ino),
    )


def copy_master(directory_fd: int, target: Path, *, bytes_max: int = MASTER_BYTES_MAX) -> Copied | None:
    """Copy the plan's single source of truth to a new private file, hashed on the way; None without any.

    Raises:
        Refused: it is no regular file, has a second name, or is too big.
        OSError: the copy cannot be written, or this machine is short of something.
    """
    for place in PLAN_PLACES:
        for name in MASTER_NAMES:
            path = f"{place}{name}"
            try:
                source = open_regular(directory_fd, path)
            except NotRegular:
                raise Refused(
                    f"{path} is no regular file of its own",
                    where=path,
                    fix="Drop a copy of the plan directory",
                ) from None
            except OSError as error:
                if error.errno in _NOT_THERE:
                    continue
                raise _unreadable(path, error) from None
            try:
                return _copied(source, path, target, bytes_max)
            finally:
                os.close(source)
    return None


def lacking_words(directory_fd: int) -> str:
    """Return in words that there is no plan, and of which other kind there is one."""
    for place in PLAN_PLACES:
        for name in YAML_NAMES:
            try:
                os.close(open_beneath(directory_fd, f"{place}{name}", os.O_PATH | os.O_CLOEXEC))
            except OSError:
                continue
            return f"there is no {MASTER_NAMES[0]} in it; {place}{name} is a view for people, not the plan"
    return f"there is no {MASTER_NAMES[0]} in it"


def is_our_shortage(error: Exception) -> bool:
    """Whether an error says that this machine is short of something: no fault of what was dropped."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


def shown(path: str) -> str:
    """Return a name as harmless text: what is not printable is escaped."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _copied(source: int, path: str, target: Path, bytes_max: int) -> Copied:
    status, digest, size = os.fstat(source), hashlib.sha256(), 0
    if status.st_size > bytes_max:
        raise _too_big(path, bytes_max)  # before all of it is copied
    copy = os.open(
        target,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    with open(copy, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
        while piece := _read(source, path):
            size += len(piece)
            if size > bytes_max:
                raise _too_big(path, bytes_max)
            digest.update(piece)
            file.write(piece)
    mark = (status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)
    return Copied(path=path, sha256=digest.hexdigest(), size=size, uid=status.st_uid, mark=mark)


def _too_big(path: str, bytes_max: int) -> Refused:
    return Refused(
        f"{path} is too big: more than {bytes_max:,} bytes (plan_bytes_max)",
        where=path,
        fix="Split the plan into several",
    )


def _read(source: int, path: str) -> bytes:
    try:
        return os.read(source, _COPIED_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def _walk(directory_fd: int, prefix: str, depth: int = 1) -> Iterator[str]:
    """Yield every name below, with what tells whether it changed."""
    if depth > DEPTH_MAX:
        raise Refused(
            "directories lie too deep",
            where=shown(prefix),
            fix="Drop the plan directory alone",
        )
    try:
        with os.scandir(directory_fd) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                _check_name(path)
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # gone between the two looks: the next look will tell
                kind = stat.S_IFMT(status.st_mode)
                _check_kind(directory_fd, entry.name, path, kind, status.st_nlink)
                yield f"{path}\0{kind} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
                if kind == stat.S_IFDIR:
                    yield from _walk_into(directory_fd, entry.name, path, depth)
    except OSError as error:
        raise _unreadable(prefix or ".", error) from None


def _walk_into(directory_fd: int, name: str, path: str, depth: int) -> Iterator[str]:
    try:
        inner = os.open(name, DIRECTORY, dir_fd=directory_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        yield from _walk(inner, f"{path}/", depth + 1)
    finally:
        os.close(inner)


def _check_name(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused(
            f"the file name {shown(path)} is not UTF-8",
            where=shown(path),
            fix="Rename it and drop it again",
        ) from error


def _check_kind(directory_fd: int, name: str, path: str, kind: int, links: int) -> None:
    if kind == stat.S_IFDIR:
        return
    shown_path = shown(path)
    if kind == stat.S_IFLNK:
        if path == KNOWN_LINK[0] and os.readlink(name, dir_fd=directory_fd) == KNOWN_LINK[1]:
            return
        raise Refused(
            f"{shown_path} is a symbolic link",
            where=shown_path,
            fix="Drop a copy of the files, not a link to them",
        )
    if kind != stat.S_IFREG:
        raise Refused(
            f"{shown_path} is no regular file",
            where=shown_path,
            fix="Remove it and drop the directory again",
        )
    if links > 1:  # 0: removed while it was looked at
        raise Refused(
            f"{shown_path} is a hard link, a file with a second name elsewhere",
            where=shown_path,
            fix="Drop a copy (cp -r), not links (cp -al)",
        )


def _no_directory(parent_fd: int, name: str, error: OSError) -> Refused | OSError:
    """Return why a name of the drop folder is no directory to look into."""
    if is_our_shortage(error):
        return error
    try:
        kind = stat.S_IFMT(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode)
    except OSError:
        kind = 0
    what = f"{shown(name)} is not a directory"
    if kind == stat.S_IFLNK:
        what = f"{shown(name)} is a symbolic link"
    elif kind == stat.S_IFDIR:
        what = f"{shown(name)} cannot be read: {error.strerror}"
    return Refused(
        what,
        where=shown(name),
        fix="Drop a directory with master_training_plan.json in it, readable for the daemon's user",
    )


def _unreadable(path: str, error: OSError) -> Refused | OSError:
    if is_our_shortage(error):
        return error
    return Refused(
        f"{shown(path)} cannot be read: {error.strerror}",
        where=shown(path),
        fix="Make it readable for the daemon's user and drop it again",
    )
