"""``trainwright submit``: hand a plan directory to the daemon and print its receipt."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from daemon.admission import left_out, rehearse
from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import LogForbidden, NoLogHere, json_option, reader_for, results_option
from daemon.errors import DaemonError
from daemon.shelves import ACCEPTED, DROPPED_AS, REASON_JSON, REASON_TEXT, RECEIPT, REJECTED
from daemon.views.waiting import Watch
from panel.names import safe_file_name
from store.errors import StoreError
from store.ids import new_event_id
from store.plan import Plan
from store.plan_document import load_plan_directory
from store.plan_mirror import mirror_warning

LOOK_SECONDS = 0.1
NOT_HANDED_OVER = ("*.db", "*.db-*", "cache", "work", "*.lock", "*.log")


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

    def __init__(self, directory: Path, inbox: Path, cause: OSError) -> None:
        first = cause.args[0][0][2] if isinstance(cause, shutil.Error) and cause.args[0] else str(cause)
        super().__init__(
            f"{directory} could not be put into the drop folder: {first}",
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


@click.command(epilog="Example: trainwright submit results")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@results_option
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="For the receipt."
)
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be handed over.")
@json_option
def submit(
    directory: Path,
    *,
    config: Path | None,
    results_dir: Path | None,
    inbox_dir: Path | None,
    wait_seconds: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a plan directory into the drop folder as a whole and print the daemon's receipt."""
    settings = settings_for(config, results_dir=results_dir, inbox_dir=inbox_dir)
    document, _ = load_plan_directory(directory)
    if warning := mirror_warning(directory):
        tell(f"warning: {warning}")
    if dry_run:
        plan = rehearse(settings, document, source=str(directory))
        _show_dry_run(plan, settings.inbox_dir, as_json=as_json)
        return
    dropped = drop(directory, settings.inbox_dir)
    if not daemon_at_work(config, results_dir):
        raise NoReceipt(dropped, "no daemon is at work here")
    until = time.monotonic() + wait_seconds
    receipt = wait_for_receipt(dropped, is_late=lambda: time.monotonic() > until)
    if receipt is None:
        raise NoReceipt(dropped, f"the daemon did not answer within {wait_seconds:g} s")
    _show(receipt, as_json=as_json)
    raise SystemExit(0 if receipt.accepted else 3)


def daemon_at_work(config: Path | None, results_dir: Path | None) -> bool:
    """Whether a daemon that uses this event log can be alive; True when the log cannot be asked."""
    try:
        with reader_for(config, results_dir) as reader:
            watch = Watch(reader)
    except NoLogHere:
        return False
    except (StoreError, LogForbidden):  # who may drop plans need not be one who may read the log
        return True
    return any(host.state == "working" and host.worker in watch.workers for host in watch.hosts)


def drop(directory: Path, inbox: Path) -> Path:
    """Copy into the drop folder under a hidden name and rename: the daemon sees all of it or nothing.

    Raises:
        NotHandedOver: something cannot be read or written; nothing is left behind.
    """
    name = f"{safe_file_name(directory.resolve().name)}-{new_event_id().hex()[-8:]}"
    hidden = inbox / f".{name}"
    ignored = shutil.ignore_patterns(*NOT_HANDED_OVER, inbox.name)
    try:
        inbox.mkdir(parents=True, exist_ok=True)
        shutil.copytree(directory, hidden, symlinks=False, ignore=ignored)
        _open_to_the_group(hidden, inbox)
        return hidden.rename(inbox / name)
    except OSError as error:
        raise NotHandedOver(directory, inbox, error) from error
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


def wait_for_receipt(dropped: Path, *, is_late: Callable[[], bool]) -> Receipt | None:
    """The daemon's receipt for what was dropped, or None when it is late."""
    while True:
        receipt = None if dropped.exists() else find_receipt(dropped.parent, dropped.name)
        if receipt is not None or is_late():
            return receipt
        time.sleep(LOOK_SECONDS)


def find_receipt(inbox: Path, name: str) -> Receipt | None:
    """The receipt of something dropped under this name, None while there is none."""
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
    counts = f": {told['jobs']} jobs, {told['fits']} fits" if new and "jobs" in told else ""
    missing = (f"left out  {words}" for words in told.get("left_out", ()) if new)
    return Receipt(
        accepted=True, new=new, plan=plan, lines=(f"{sentence}{counts}", *missing), document=told, place=place
    )


def _show_dry_run(plan: Plan, inbox: Path, *, as_json: bool) -> None:
    missing = left_out(plan)
    if as_json:
        jobs = len(plan.jobs)
        emit({"dry_run": True, "valid": True, "jobs": jobs, "inbox": inbox, "left_out": list(missing)})
        return
    say(f"would hand over {len(plan.jobs)} jobs to {inbox}")
    for words in missing:
        say(f"left out  {words}")


def _show(receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "accepted": receipt.accepted,
                "new": receipt.new,
                "plan": receipt.plan,
                "sentence": receipt.lines[0] if receipt.lines else "",
                "place": receipt.place,
                "receipt": receipt.document,
            }
        )
        return
    if receipt.accepted:
        for line in receipt.lines:
            say(line)
        say("next  trainwright status")
        return
    for line in ("error: rejected: " + receipt.lines[0], *receipt.lines[1:4], f"  kept  {receipt.place}"):
        tell(line)
