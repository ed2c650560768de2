"""Moves what was dropped onto its shelf: accepted/<plan id>/ or rejected/<name>/, the receipt in it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.dropped import shown
from panel.names import safe_file_name
from store.errors import PlanRejected

ACCEPTED, REJECTED = SHELVES = ("accepted", "rejected")
RECEIPT, DROPPED_AS, REASON_TEXT, REASON_JSON = "receipt.json", ".dropped-as", "REASON.txt", "reason.json"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def shelve_accepted(
    inbox: Path, inbox_fd: int, name: str, *, plan_id: str, receipt: Mapping[str, Any]
) -> Path:
    """Move a dropped directory to accepted/<plan id>/, one dropped again to accepted/<plan id>/again/<name>.

    Raises:
        OSError: it cannot be moved.
    """
    shelf = inbox / ACCEPTED / plan_id
    if not shelf.exists():
        with contextlib.suppress(OSError):  # a receipt that cannot be written does not hold the move
            _write_inside(inbox_fd, name, {RECEIPT: _json(receipt), DROPPED_AS: f"{shown(name)}\n"})
        os.rename(name, shelf, src_dir_fd=inbox_fd)
        return shelf
    again = shelf / "again"
    again.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        _write_inside(inbox_fd, name, {RECEIPT: _json(receipt)})
    _move(inbox_fd, name, again)
    with (shelf / DROPPED_AS).open("a", encoding="utf-8") as names:
        names.write(f"{shown(name)}\n")
    return shelf


def shelve_rejected(inbox: Path, inbox_fd: int, name: str, rejected: PlanRejected) -> Path:
    """Move what was dropped to rejected/<name>/ with REASON.txt and reason.json, and return that directory.

    What is no directory is put into one. A name taken already, or that is no text, gets a safe one like it.

    Raises:
        OSError: it cannot be moved.
    """
    reasons = {REASON_TEXT: reason_text(rejected), REASON_JSON: _json(_reason(rejected, name))}
    try:
        os.close(os.open(name, _DIRECTORY, dir_fd=inbox_fd))
    except OSError:
        shelf = _new_directory(inbox / REJECTED, _text_name(name))
        os.rename(name, shelf / _text_name(name), src_dir_fd=inbox_fd)
        _write_all(os.open(shelf, _DIRECTORY), reasons)
        return shelf
    with contextlib.suppress(OSError):
        _write_inside(inbox_fd, name, reasons)
    return _move(inbox_fd, name, inbox / REJECTED)


def reason_text(rejected: PlanRejected) -> str:
    """Return what REASON.txt says: the sentence, then the place and what to do."""
    lines = [f"{rejected.sentence}"]
    if rejected.place:
        lines.append(f"  where {rejected.source}: {rejected.place}")
    if rejected.fix:
        lines.append(f"  fix   {rejected.fix}")
    lines.append("  next  correct it and drop it again; nothing else has to be cleaned up")
    return "\n".join(lines) + "\n"


def _reason(rejected: PlanRejected, name: str) -> dict[str, Any]:
    return {
        "name": _text_name(name),
        "sentence": rejected.sentence,
        "place": rejected.place,
        "fix": rejected.fix,
        "source": rejected.source,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _move(inbox_fd: int, name: str, shelf: Path) -> Path:
    """Rename a name of the inbox into a shelf, under a name of its own there."""
    wanted = _text_name(name)
    number = 1
    while True:
        target = shelf / (wanted if number == 1 else f"{wanted}-{number}")
        number += 1
        if not os.path.lexists(target):
            os.rename(name, target, src_dir_fd=inbox_fd)
            return target


def _new_directory(shelf: Path, wanted: str) -> Path:
    number = 1
    while True:
        target = shelf / (wanted if number == 1 else f"{wanted}-{number}")
        number += 1
        with contextlib.suppress(FileExistsError):
            target.mkdir()
            return target


def _text_name(name: str) -> str:
    """Return the name itself where it is text, else a safe one like it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return safe_file_name(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return name if name.isprintable() else safe_file_name(name)


def _write_inside(inbox_fd: int, name: str, files: Mapping[str, str]) -> None:
    _write_all(os.open(name, _DIRECTORY, dir_fd=inbox_fd), files)


def _write_all(directory_fd: int, files: Mapping[str, str]) -> None:
    """Write files of our own into a directory, in the place of whatever bears their names, and close it."""
    try:
        for name, text in files.items():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory_fd)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=directory_fd)
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor, not a path)
                file.write(text)
    finally:
        os.close(directory_fd)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
