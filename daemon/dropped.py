"""Reads a dropped directory through directory descriptors: nothing outside it can be reached.

A producer may still be writing, and may not be a friend. So every step goes from a descriptor already held
to a name inside it, never following a link; a file is read once, and what was read is what is judged.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daemon.errors import Refused

MASTER_NAMES = ("master_training_plan.json", "training_plan.json")
#: Where a plan lies in what was dropped: the directory itself, or a whole results/ directory.
PLAN_PLACES = ((), ("globals", "training_plan"), ("METRICS", "training_plan"))
#: The one link that is a part of the results layout; it is never followed.
KNOWN_LINK = ("METRICS/training_plan", "../globals/training_plan")
READY = ".ready"

MASTER_BYTES_MAX = 512 * 2**20  # a quarter of a million jobs
ENTRIES_MAX = 100_000
DEPTH_MAX = 12

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_SHORTAGES = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR)
)

Entry = tuple[str, int, int, int, int]  # path, type, size, changed at ns, inode


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a dropped directory looked like at one moment; equal looks mean nothing changed in between."""

    entries: tuple[Entry, ...]
    ready: bool
    uid: int


@contextmanager
def opened(parent_fd: int, name: str) -> Iterator[int]:
    """Yield a descriptor of the directory `name` in a directory, never through a link.

    Raises:
        Refused: it is no directory, or cannot be opened.
    """
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent_fd)
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
    """
    entries = sorted(_walk(directory_fd, ""))
    status = os.fstat(directory_fd)
    ready = any(path == READY for path, *_ in entries)
    return Look(entries=tuple(entries), ready=ready, uid=status.st_uid)


def read_master(directory_fd: int) -> tuple[bytes, str] | None:
    """Return (content, path) of the plan's single source of truth, read once; None when there is none (yet).

    Raises:
        Refused: it is no regular file, has a second name, or is too big.
    """
    for place in PLAN_PLACES:
        with _descended(directory_fd, place) as plan_fd:
            for name in MASTER_NAMES if plan_fd is not None else ():
                content = _read_file(plan_fd, name, "/".join((*place, name)))
                if content is not None:
                    return content, "/".join((*place, name))
    return None


def _walk(directory_fd: int, prefix: str, depth: int = 1) -> Iterator[Entry]:
    if depth > DEPTH_MAX:
        raise Refused("directories lie too deep", where=shown(prefix), fix="Drop the plan directory alone")
    try:
        names = os.listdir(directory_fd)
    except OSError as error:
        raise _unreadable(prefix or ".", error) from None
    if len(names) > ENTRIES_MAX:
        raise Refused("too many files", where=shown(prefix or "."), fix="Drop the plan directory alone")
    for name in names:
        path = f"{prefix}{name}"
        _check_name(path)
        try:
            status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        except FileNotFoundError:
            continue  # gone between the two looks: the next look will tell
        except OSError as error:
            raise _unreadable(path, error) from None
        kind = stat.S_IFMT(status.st_mode)
        _check_kind(directory_fd, name, path, kind, status.st_nlink)
        yield path, kind, status.st_size, status.st_mtime_ns, status.st_ino
        if kind == stat.S_IFDIR:
            yield from _walk_into(directory_fd, name, path, depth)


def _walk_into(directory_fd: int, name: str, path: str, depth: int) -> Iterator[Entry]:
    try:
        inner = os.open(name, _DIRECTORY, dir_fd=directory_fd)
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
    if kind == stat.S_IFLNK:
        if (path, os.readlink(name, dir_fd=directory_fd)) == KNOWN_LINK:
            return
        raise Refused(
            f"{path} is a symbolic link", where=path, fix="Drop a copy of the files, not a link to them"
        )
    if kind != stat.S_IFREG:
        raise Refused(f"{path} is no regular file", where=path, fix="Remove it and drop the directory again")
    if links != 1:
        raise Refused(
            f"{path} is a hard link, a file with a second name elsewhere",
            where=path,
            fix="Drop a copy (cp -r), not links (cp -al)",
        )


@contextmanager
def _descended(directory_fd: int, place: tuple[str, ...]) -> Iterator[int | None]:
    """Yield a descriptor of the directory at `place` inside, or None when there is none; links are none."""
    held = [os.dup(directory_fd)]
    try:
        for name in place:
            held.append(os.open(name, _DIRECTORY, dir_fd=held[-1]))
        yield held[-1]
    except (FileNotFoundError, NotADirectoryError):
        yield None
    except OSError as error:
        raise _unreadable("/".join(place), error) from None
    finally:
        for descriptor in held:
            os.close(descriptor)


def _read_file(directory_fd: int | None, name: str, path: str) -> bytes | None:
    """Return the content of a regular file with one name, None when it is not there."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=directory_fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise Refused(
                f"{path} is no regular file of its own", where=path, fix="Drop a copy of the plan directory"
            )
        content = file.read(MASTER_BYTES_MAX + 1)
    if len(content) > MASTER_BYTES_MAX:
        raise Refused(
            f"{path} is too big: more than {MASTER_BYTES_MAX >> 20} MiB",
            where=path,
            fix="Split the plan into several",
        )
    return content


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


def is_our_shortage(error: Exception) -> bool:
    """Whether an error says that this machine is short of something: no fault of what was dropped."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


def _unreadable(path: str, error: OSError) -> Refused | OSError:
    if is_our_shortage(error):
        return error
    return Refused(
        f"{shown(path)} cannot be read: {error.strerror}",
        where=shown(path),
        fix="Make it readable for the daemon's user and drop it again",
    )


def shown(path: str) -> str:
    """Return a name as harmless text: what is not printable is escaped."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
