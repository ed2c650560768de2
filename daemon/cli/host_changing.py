"""``hosts drain|remove``: a host claims nothing more, claims again, or is gone for good."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from daemon.cli.completing import hosts
from daemon.cli.screen import Tone, emit, paint, say
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.host_changes import HostChange, take_back_host
from daemon.host_changes import drain as drain_host
from daemon.host_changes import remove as remove_host
from store import open_store

REASON = "asked for on the command line"
DONE: dict[str, tuple[str, str, Tone]] = {  # word -> as done, as it would be, its colour
    "drain": ("draining", "would drain", "wait"),
    "return": ("returned", "would return", "good"),
    "remove": ("removed", "would remove", "bad"),
}
_host = click.argument("host", shell_complete=hosts)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what it would do.")


@click.command(epilog="Example: trainwright hosts drain trainer-2 --reason 'a new disk' --give-back")
@_host
@click.option("--give-back", is_flag=True, help="Fits at work there save their state and go on elsewhere.")
@click.option("--undo", is_flag=True, help="Let it claim again.")
@click.option("--reason", default="", help="Why; hosts ls, status and why tell it.")
@_dry_run
@results_option
@json_option
def drain(
    *,
    host: str,
    give_back: bool,
    undo: bool,
    reason: str,
    dry_run: bool,
    as_json: bool,
    **options: Path | None,
) -> None:
    """Let a host claim nothing more, also after a restart, until it is told otherwise.

    What runs there may end, or is given back with its checkpoint. Then the machine can be switched off.
    """
    if undo and give_back:
        raise click.UsageError("--give-back does not go with --undo")
    said: dict[str, Any] = {"reason": reason, "actor": getpass.getuser(), "dry_run": dry_run}
    with open_store(existing_log(**options), create=False) as store:
        if undo:
            _tell(take_back_host(store, host, **said), as_json=as_json)
        else:
            _tell(drain_host(store, host, give_back=give_back, **said), as_json=as_json)


@click.command(epilog="Example: trainwright hosts remove trainer-2 --reason 'the machine is sold'")
@_host
@click.option("--force", is_flag=True, help="Also where it may be at work: its late words are refused.")
@click.option("--reason", default=REASON, help="Why; the log tells it.")
@_dry_run
@results_option
@json_option
def remove(
    *, host: str, force: bool, reason: str, dry_run: bool, as_json: bool, **options: Path | None
) -> None:
    """Forget a host that is gone for good, and take back what it has.

    Its fits go on elsewhere from their checkpoints. A start of its daemon brings it back.
    """
    said: dict[str, Any] = {"reason": reason, "actor": getpass.getuser(), "dry_run": dry_run}
    with open_store(existing_log(**options), create=False) as store:
        _tell(remove_host(store, host, force=force, **said), as_json=as_json)


def _tell(change: HostChange, *, as_json: bool) -> None:
    """Print what came of it."""
    if as_json:
        emit(change.document)
        return
    done, would, tone = DONE[change.word]
    word = "already" if change.already else would if change.dry_run else done
    say(f"{paint(word, tone)}  {change.host}: {change.words}")
    for name in change.taken_back:
        say(f"  {name}")
    if change.word == "drain" and not change.dry_run and change.running:
        say(f"next  trainwright hosts ls    and for it to claim again: hosts drain {change.host} --undo")
