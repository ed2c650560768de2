"""Handing a plan over: into the drop folder as a whole, and back comes the daemon's receipt."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.dropped import MASTER_NAMES
from daemon.errors import DaemonError
from daemon.identity import Identity, own_identity
from daemon.shelves import ACCEPTED, DROPPED_AS, REASON_JSON, REASON_TEXT, RECEIPT, REJECTED
from daemon.views.waiting import Watch
from daemon.views.words import counted
from panel.names import safe_file_name
from store.ids import new_event_id
from store.reading import Reader

LOOK_SECONDS = 0.1
NOT_HANDED_OVER = ("*.db", "*.db-*", "cache", "work", "*.lock", "*.duty", "*.log")


class NoReceipt(DaemonError):
    """Nobody took the plan out of the drop folder."""

    exit_code = 5

    def __init__(self, dropped: Path, why: str) -> None:
        super().__init__(
            f"{why}; the plan stays in the drop folder and is taken when a daemon starts",
            where=str(dropped),
            fix="start one with `trainwright daemon`, or train here with `trainwright train`",
        )


class NotHandedOver(DaemonError):
    """The plan could not be put into the drop folder."""

    def __init__(self, what: str, inbox: Path, cause: OSError) -> None:
        first = cause.args[0][0][2] if isinstance(cause, shutil.Error) and cause.args[0] else str(cause)
        super().__init__(
            f"{what} could not be put into the drop folder: {first}",
            where=str(inbox),
            fix="make both readable and writable for this account; nothing was handed over",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the daemon said of a plan; `plan` is None when it was rejected, `lines` are its words."""

    accepted: bool
    new: bool
    plan: str | None
    lines: tuple[str, ...]
    document: dict[str, Any]
    place: Path


def drop(directory: Path, inbox: Path) -> Path:
    """Copy into the drop folder under a hidden name and rename: the daemon sees all of it or nothing.

    Raises:
        NotHandedOver: something cannot be read or written; nothing is left behind.
    """
    ignored = shutil.ignore_patterns(*NOT_HANDED_OVER, inbox.name)
    with _hidden(inbox, named=directory.resolve().name, what=str(directory)) as hidden:
        shutil.copytree(directory, hidden, symlinks=False, ignore=ignored)
        _open_to_the_group(hidden, inbox)
        return hidden.rename(inbox / hidden.name.removeprefix("."))


def drop_document(document: Mapping[str, Any], inbox: Path, *, name: str = "plan") -> Path:
    """Write a master plan into the drop folder, as a directory of that name; alike in all else.

    Raises:
        NotHandedOver: it cannot be written; nothing is left behind.
        ValueError, TypeError: it has no JSON form.
    """
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1)
    return drop_text(f"{text}\n".encode(), inbox, name=name)


def drop_text(text: bytes, inbox: Path, *, name: str = "plan") -> Path:
    """Write what somebody sent as a master plan into the drop folder as it is; alike in all else.

    Raises:
        NotHandedOver: it cannot be written; nothing is left behind.
    """
    with _hidden(inbox, named=name, what="the plan") as hidden:
        hidden.mkdir()
        (hidden / MASTER_NAMES[0]).write_bytes(text)
        _open_to_the_group(hidden, inbox)
        return hidden.rename(inbox / hidden.name.removeprefix("."))


@contextmanager
def _hidden(inbox: Path, *, named: str, what: str) -> Iterator[Path]:
    """Yield a name nobody looks at in the drop folder; nothing stays under it.

    Raises:
        NotHandedOver: what is done with it fails.
    """
    hidden = inbox / f".{safe_file_name(named)}-{new_event_id().hex()[-8:]}"
    try:
        inbox.mkdir(parents=True, exist_ok=True)
        yield hidden
    except OSError as error:
        raise NotHandedOver(what, inbox, error) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)  # of a copy that did not come to its end


def _open_to_the_group(copied: Path, inbox: Path) -> None:
    """Let the group read and move the copy where the drop folder is the group's, whatever modes it came with.

    The daemon is often another account: of the group, and not root.
    """
    status = inbox.stat()
    if not status.st_mode & stat.S_ISGID or not status.st_mode & stat.S_IWGRP:
        return
    for place, _, files in os.walk(copied):
        for name, wanted in ((".", stat.S_IRWXG), *((file, stat.S_IRGRP) for file in files)):
            path = Path(place, name)
            known = path.stat()
            # The folder's bit sees to the group as a rule; the unit's sandbox forbids to change it.
            if known.st_gid != status.st_gid:
                os.chown(path, -1, status.st_gid)
            path.chmod((known.st_mode | wanted) & 0o777)


def is_at_work(reader: Reader) -> bool:
    """Whether a daemon that takes what is dropped here is at work, as far as is known here.

    Hosts that share a log have a drop folder each: what is dropped here is taken by no other machine.
    """
    watch = Watch(reader)
    at_work = [host for host in watch.hosts if host.state == "working" and host.worker in watch.workers]
    return any(not reader.is_shared or _is_here(host.worker) for host in at_work)


def _is_here(worker: str) -> bool:
    """Whether a worker's machine is this one, in a container or not."""
    known = Identity.of_worker(worker)
    return known is None or known.boot_id == own_identity().boot_id


def wait_for_receipt(dropped: Path, *, is_late: Callable[[], bool]) -> Receipt | None:
    """The daemon's receipt for what was dropped, or None when it is late."""
    while True:
        receipt = None if dropped.exists() else find_receipt(dropped.parent, dropped.name)
        if receipt is not None or is_late():
            return receipt
        time.sleep(LOOK_SECONDS)


def find_receipt(inbox: Path, name: str) -> Receipt | None:
    """The receipt of something dropped under this name, None while there is none, or half of one."""
    # What cannot be moved is hidden first, and its receipt written then.
    with suppress(FileNotFoundError, ValueError):
        return _found(inbox, name)
    return None


def _found(inbox: Path, name: str) -> Receipt | None:
    refused = inbox / REJECTED / name
    if (refused / REASON_TEXT).exists():
        lines = (refused / REASON_TEXT).read_text(encoding="utf-8").splitlines()
        reason = json.loads((refused / REASON_JSON).read_text(encoding="utf-8"))
        return Receipt(
            accepted=False, new=False, plan=None, lines=tuple(lines), document=reason, place=refused
        )
    shelves = (inbox / ACCEPTED).iterdir() if (inbox / ACCEPTED).is_dir() else ()
    for shelf in shelves:
        names = shelf / DROPPED_AS
        if names.exists() and name in names.read_text(encoding="utf-8").splitlines():
            return _accepted(shelf, name)
    return None


def _accepted(shelf: Path, name: str) -> Receipt:
    """The receipt on a shelf: of the plan itself, or of the one dropped again under this name."""
    again = shelf / "again" / name
    place = again if again.exists() else shelf
    path = place / RECEIPT
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    plan, new = told.get("plan", shelf.name), bool(told.get("new", place == shelf))
    sentence = told.get("sentence") or f"{'' if new else 'already '}accepted as {plan}"
    counts = ""
    if new and "jobs" in told:
        counts = f": {counted(told['jobs'], 'job')}, {counted(told['fits'], 'fit')}"
    missing = (f"left out  {words}" for words in told.get("left_out", ()) if new)
    return Receipt(
        accepted=True, new=new, plan=plan, lines=(f"{sentence}{counts}", *missing), document=told, place=place
    )
