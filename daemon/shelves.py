"""Moves what was dropped onto its shelf: accepted/<plan id>/ or rejected/<name>/, the receipt in it.

Everything is done below the folder's descriptor, and no link is followed: a shelf that was replaced by one
is put aside. What belongs to somebody who lets nobody move it stays where it is under a hidden name, and what
was read of it lies on the shelf in its place.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.beneath import DIRECTORY
from daemon.dropped import MASTER_NAMES, shown
from panel.names import safe_file_name
from store.errors import PlanRejected

ACCEPTED, REJECTED = SHELVES = ("accepted", "rejected")
RECEIPT, DROPPED_AS, REASON_TEXT, REASON_JSON = (
    "receipt.json",
    ".dropped-as",
    "REASON.txt",
    "reason.json",
)
NUMBERS_MAX = 9  # of names alike; then they end in something random

_NAME_BYTES = 200  # of 255: what is added to a name has room
_STAYS = frozenset((errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY))  # it cannot be moved, only hidden
_GONE = frozenset((errno.ENOENT, errno.ESTALE))


def shelve_accepted(
    inbox: Path,
    inbox_fd: int,
    name: str,
    *,
    plan_id: str,
    receipt: Mapping[str, Any],
    inode: tuple[int, int] | None = None,
    copy: Path | None = None,
) -> Path:
    """Move a dropped directory to accepted/<plan id>/, one dropped again to accepted/<plan id>/again/<name>.

    Args:
        inbox: where the folder is, for the answer.
        inbox_fd: the folder.
        name: in the folder.
        plan_id: names the shelf.
        receipt: put beside the plan.
        inode: of the directory that was read; another one of its name is not touched.
        copy: of the plan, which lies there in its place where it is gone or cannot be moved.

    Raises:
        OSError: it cannot be moved, nor be hidden.
    """
    files = {RECEIPT: _json(receipt)}
    with _Held(inbox_fd, ACCEPTED) as shelf_fd:
        place = inbox / ACCEPTED / plan_id
        if not _exists(shelf_fd, plan_id):
            files[DROPPED_AS] = f"{shown(name)}\n"
            _move_in(inbox_fd, name, shelf_fd, plan_id, files, inode=inode, copy=copy)
            return place
        with _Held(shelf_fd, plan_id) as plan_fd, _Held(plan_fd, "again") as again_fd:
            _append(plan_fd, DROPPED_AS, f"{shown(name)}\n")
            wanted = _free_name(again_fd, _text_name(name))
            _move_in(inbox_fd, name, again_fd, wanted, files, inode=inode, copy=copy)
            return place


def shelve_rejected(
    inbox: Path,
    inbox_fd: int,
    name: str,
    rejected: PlanRejected,
    *,
    inode: tuple[int, int] | None = None,
    copy: Path | None = None,
) -> Path:
    """Move what was dropped to rejected/<name>/ with REASON.txt and reason.json, and return that directory.

    What is no directory is put into one. A name taken already, or that is no text, gets a safe one like it.

    Raises:
        OSError: it cannot be moved, nor be hidden.
    """
    reasons = {
        REASON_TEXT: reason_text(rejected),
        REASON_JSON: _json(_reason(rejected, name)),
    }
    with _Held(inbox_fd, REJECTED) as shelf_fd:
        wanted = _free_name(shelf_fd, _text_name(name))
        try:
            os.close(os.open(name, DIRECTORY, dir_fd=inbox_fd))
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                _move_in(inbox_fd, name, shelf_fd, wanted, reasons, inode=inode, copy=copy)
            else:  # no directory
                with _Held(shelf_fd, wanted) as new_fd:
                    os.rename(name, _text_name(name), src_dir_fd=inbox_fd, dst_dir_fd=new_fd)
                    _write_all(new_fd, reasons)
        else:
            _move_in(inbox_fd, name, shelf_fd, wanted, reasons, inode=inode, copy=copy)
    return inbox / REJECTED / wanted


def make_shelves(inbox_fd: int) -> None:
    """Make both shelves where they are missing; raises OSError."""
    for shelf in SHELVES:
        with _Held(inbox_fd, shelf):
            pass


def reason_text(rejected: PlanRejected) -> str:
    """Return what REASON.txt says: the sentence, then the place and what to do."""
    lines = [f"{rejected.sentence}"]
    if rejected.place:
        lines.append(f"  where {rejected.source}: {rejected.place}")
    if rejected.fix:
        lines.append(f"  fix   {rejected.fix}")
    lines.append("  next  correct it and drop it again; nothing else has to be cleaned up")
    return "\n".join(lines) + "\n"


def _move_in(
    inbox_fd: int,
    name: str,
    shelf_fd: int,
    wanted: str,
    files: Mapping[str, str],
    *,
    inode: tuple[int, int] | None,
    copy: Path | None,
) -> None:
    """Rename a directory into a shelf, files of ours in it; or put the copy there and hide the original."""
    is_that = _is_that(inbox_fd, name, inode)
    if is_that:
        with contextlib.suppress(OSError), _Opened(name, inbox_fd) as dropped_fd:
            _write_all(dropped_fd, files)  # one that cannot be written into may still be moved
        try:
            os.rename(name, wanted, src_dir_fd=inbox_fd, dst_dir_fd=shelf_fd)
        except OSError as error:
            if error.errno not in _STAYS | _GONE:
                raise
            is_that = error.errno in _STAYS
        else:
            with contextlib.suppress(OSError), _Opened(wanted, shelf_fd) as moved_fd:
                _write_missing(moved_fd, files)
            return
    if is_that:
        hidden = os.fsencode(f".taken-{secrets.token_hex(4)}-{name}")[:_NAME_BYTES]
        os.rename(name, hidden, src_dir_fd=inbox_fd, dst_dir_fd=inbox_fd)
    with _Held(shelf_fd, wanted) as new_fd:
        if copy is not None:
            _keep_copy(copy, new_fd)
        _write_all(new_fd, files)


def _is_that(inbox_fd: int, name: str, inode: tuple[int, int] | None) -> bool:
    """Whether the name still is the directory that was read."""
    try:
        status = os.stat(name, dir_fd=inbox_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return inode is None or inode == (status.st_dev, status.st_ino)


class _Opened:
    """A directory of a name, never through a link, closed in the end."""

    def __init__(self, name: str, parent_fd: int) -> None:
        self._descriptor = os.open(name, DIRECTORY, dir_fd=parent_fd)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)


class _Held(_Opened):
    """A directory of our own: made where it is missing, whatever else bears its name put aside."""

    def __init__(self, parent_fd: int, name: str) -> None:
        is_new = self._make(parent_fd, name)
        try:
            super().__init__(name, parent_fd)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            aside = f"not-{name}-{secrets.token_hex(4)}"
            os.rename(name, aside, src_dir_fd=parent_fd, dst_dir_fd=parent_fd)
            is_new = self._make(parent_fd, name)
            super().__init__(name, parent_fd)
        if is_new:
            # Whoever may hand plans in may read what became of them, whatever the daemon's umask. The unit's
            # sandbox lets nobody set the group's bit (RestrictSUIDSGID=): there umask and folder see to it.
            with contextlib.suppress(PermissionError):
                os.fchmod(self._descriptor, os.fstat(parent_fd).st_mode & 0o2755 | 0o700)

    @staticmethod
    def _make(parent_fd: int, name: str) -> bool:
        try:
            os.mkdir(name, dir_fd=parent_fd)
        except FileExistsError:
            return False
        return True


def _reason(rejected: PlanRejected, name: str) -> dict[str, Any]:
    return {
        "name": _text_name(name),
        "sentence": rejected.sentence,
        "place": rejected.place,
        "fix": rejected.fix,
        "source": rejected.source,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _free_name(shelf_fd: int, wanted: str) -> str:
    """Return the name, or one like it that is not taken."""
    for number in range(1, NUMBERS_MAX + 1):
        name = wanted if number == 1 else f"{wanted}-{number}"
        if not _exists(shelf_fd, name):
            return name
    return f"{wanted}-{secrets.token_hex(6)}"


def _exists(directory_fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _text_name(name: str) -> str:
    """Return the name itself where it is text with room for a number, else a safe one like it."""
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return safe_file_name(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return name if name.isprintable() and length <= _NAME_BYTES else safe_file_name(name)


def _write_missing(directory_fd: int, files: Mapping[str, str]) -> None:
    _write_all(
        directory_fd,
        {name: text for name, text in files.items() if not _exists(directory_fd, name)},
    )


def _write_all(directory_fd: int, files: Mapping[str, str]) -> None:
    """Write files of our own into a directory, in the place of whatever bears their names."""
    for name, text in files.items():
        with contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(name, dir_fd=directory_fd)
            except IsADirectoryError:
                aside = f"{name}.dropped-{secrets.token_hex(4)}"
                os.rename(name, aside, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o644, dir_fd=directory_fd)
        os.fchmod(descriptor, os.fstat(directory_fd).st_mode & 0o044 | 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor, not a path)
            file.write(text)


def _append(directory_fd: int, name: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o644, dir_fd=directory_fd)
    with contextlib.suppress(PermissionError):  # somebody else's by now
        os.fchmod(descriptor, os.fstat(directory_fd).st_mode & 0o044 | 0o600)
    with open(descriptor, "a", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor, not a path)
        file.write(text)


def _keep_copy(copy: Path, directory_fd: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    target = os.open(MASTER_NAMES[0], flags, 0o644, dir_fd=directory_fd)
    os.fchmod(target, os.fstat(directory_fd).st_mode & 0o044 | 0o600)
    with open(target, "wb") as kept, copy.open("rb") as read:  # noqa: PTH123 (a descriptor, not a path)
        shutil.copyfileobj(read, kept)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
