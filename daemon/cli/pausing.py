"""``pause|resume``: nothing more is started of a plan, of a stage, on a host, or at all."""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.completing import hosts, plans
from daemon.cli.screen import paint, say, tell
from daemon.cli.workspace import existing_log, results_option
from store import open_store
from store.reading import Reader
from store.reasons import pause_words
from store.records import PauseRow

REASON = "asked for on the command line"
Command = TypeVar("Command", bound=Callable[..., Any])


def scope_options(command: Command) -> Command:
    """Add what says how much is paused: ``--plan``, ``--stage``, ``--host``, ``--all``; and ``--dry-run``."""
    for option in reversed(
        (
            click.option("--plan", "plan_id", shell_complete=plans, help="Only this plan."),
            click.option("--stage", type=click.Choice(("cpu", "gpu")), help="Only this stage."),
            click.option("--host", shell_complete=hosts, help="Only on this host."),
            click.option("--all", "everything", is_flag=True, help="All work; with resume: every pause."),
            click.option("--dry-run", is_flag=True, help="Say what it would be."),
            results_option,
        )
    ):
        command = option(command)
    return command


@click.command(epilog="Example: trainwright pause --stage gpu --reason 'the card is needed'")
@click.option("--reason", default=REASON, help="Why; status and why tell it.")
@scope_options
def pause(*, reason: str, dry_run: bool, everything: bool, **options: str | Path | None) -> None:
    """Start nothing more of a plan, of a stage, on a host, or at all. Running fits go on."""
    scope = _scope(options, everything=everything)
    with open_store(existing_log(**_places(options)), create=False) as store:
        if scope["plan"] is not None:
            store.reading.plan_row(scope["plan"])
        known = [one for one in store.reading.pauses() if _is_scope(one, scope)]
        _warn_of_unknown(store.reading, scope["host"])
        wanted = PauseRow(**scope, reason=reason, at=datetime.now(UTC), actor=getpass.getuser())
        if not known and not dry_run:
            store.pause(**scope, reason=reason, actor=getpass.getuser())
    if known:
        say(f"already: {pause_words(known[0])}")
    else:
        say(f"{'would be: ' if dry_run else ''}{pause_words(wanted)}")


@click.command(epilog="Example: trainwright resume --all")
@scope_options
def resume(*, dry_run: bool, everything: bool, **options: str | Path | None) -> None:
    """End a pause: that of exactly this plan, stage or host, or with --all every one."""
    scope = _scope(options, everything=everything)
    with open_store(existing_log(**_places(options)), create=False) as store:
        pauses = store.reading.pauses()
        ended = [one for one in pauses if everything or _is_scope(one, scope)]
        for one in () if dry_run else ended:
            store.resume(
                plan=one.plan, stage=one.stage, host=one.host, reason=REASON, actor=getpass.getuser()
            )
    for one in ended:
        say(f"{'would end' if dry_run else 'ended'}: {pause_words(one)}")
    if not ended:
        say("nothing is paused like that")
    for one in pauses:
        if one not in ended:
            say(f"still: {pause_words(one)}")


def _warn_of_unknown(reader: Reader, host: str | None) -> None:
    """Say that no host of this name has worked yet: it may come, or the name may be misspelt."""
    known = [row.host for row in reader.hosts()]
    if host is not None and host not in known:
        near = difflib.get_close_matches(host, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        tell(f"{paint('note:', 'wait')} no host {host} has worked on this log yet{hint}")


def _scope(options: dict[str, str | Path | None], *, everything: bool) -> dict[str, str | None]:
    """Return what a pause is about; raises click.UsageError when nothing, or all and a part, was named."""
    found = {"plan": options.pop("plan_id"), "stage": options.pop("stage"), "host": options.pop("host")}
    if everything == any(found.values()):
        raise click.UsageError("name a plan, a stage or a host, or give --all")
    return {name: None if value is None else str(value) for name, value in found.items()}


def _places(options: dict[str, str | Path | None]) -> dict[str, Path | None]:
    return {name: None if place is None else Path(place) for name, place in options.items()}


def _is_scope(pause: PauseRow, scope: dict[str, str | None]) -> bool:
    return {"plan": pause.plan, "stage": pause.stage, "host": pause.host} == scope
