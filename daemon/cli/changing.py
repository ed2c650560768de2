"""``retry|cancel|hold|release|pause|resume``: words of a person, recorded as events with their actor."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.screen import say
from daemon.cli.workspace import existing_log, results_option
from store import PlanStore, open_store
from store.errors import WrongState
from store.reasons import pause_words
from store.records import FitRow, PauseRow
from store.state import FINAL_STATES

RETRYABLE = ("failed", "unavailable", "cancelled")
LINES_MAX = 20
REASON = "asked for on the command line"
Command = TypeVar("Command", bound=Callable[..., Any])


def fits_options(command: Command) -> Command:
    """Add what all commands about fits take: names, ``--plan`` and ``--dry-run``."""
    plan = click.option("--plan", "plan_id", help="Only of this plan; alone: all its fits it can be done to.")
    dry_run = click.option("--dry-run", is_flag=True, help="Say which fits it would be.")
    return click.argument("names", nargs=-1)(plan(dry_run(results_option(command))))


def scope_options(command: Command) -> Command:
    """Add what says how much is paused: ``--plan``, ``--stage``, ``--host``, ``--all``; and ``--dry-run``."""
    for option in reversed(
        (
            click.option("--plan", "plan_id", help="Only this plan."),
            click.option("--stage", type=click.Choice(("cpu", "gpu")), help="Only this stage."),
            click.option("--host", help="Only on this host."),
            click.option("--all", "everything", is_flag=True, help="All work; with resume: every pause."),
            click.option("--dry-run", is_flag=True, help="Say what it would be."),
            results_option,
        )
    ):
        command = option(command)
    return command


@click.command(epilog="Example: trainwright retry --failed")
@click.option("--failed", is_flag=True, help="Every failed fit.")
@fits_options
def retry(
    *, names: tuple[str, ...], failed: bool, plan_id: str | None, dry_run: bool, **options: Path | None
) -> None:
    """Make fits ready again: by JOB/Family, by job, or all that failed; a checkpoint is gone on from."""
    if not names and not failed:
        raise click.UsageError("name a fit or a job, or give --failed")
    with open_store(existing_log(**options), create=False) as store:
        fits = _named(store, names, plan_id)
        fits += store.reading.fits(plan=plan_id, states=("failed",)) if failed else ()
        chosen = _unique(fit for fit in fits if fit.state in RETRYABLE)
        done = chosen if dry_run else _each(chosen, store.retry)
    _tell(done, "would be ready again" if dry_run else "ready again")
    if done and not dry_run:
        say("next  trainwright daemon --drain    or leave them to the daemon at work")


@click.command(epilog="Example: trainwright cancel cs_y_range_5d/LSTM")
@fits_options
def cancel(*, names: tuple[str, ...], plan_id: str | None, dry_run: bool, **options: Path | None) -> None:
    """Cancel fits that have not ended: by JOB/Family, by job, or of a whole plan. A running one is ended."""
    with open_store(existing_log(**options), create=False) as store:
        fits = _meant(store, names, plan_id)
        chosen = _unique(fit for fit in fits if fit.state not in FINAL_STATES)
        done = chosen if dry_run else _each(chosen, store.cancel)
    _tell(done, "would be cancelled" if dry_run else "cancelled")


@click.command(epilog="Example: trainwright hold cs_y_range_5d/LSTM --reason 'look at the labels first'")
@click.option("--reason", default=REASON, help="Why; why and jobs tell it.")
@fits_options
def hold(
    *, names: tuple[str, ...], plan_id: str | None, reason: str, dry_run: bool, **options: Path | None
) -> None:
    """Hold fits back from being started: by JOB/Family, by job, or of a whole plan. A running one goes on."""
    with open_store(existing_log(**options), create=False) as store:
        fits = _meant(store, names, plan_id)
        chosen = _unique(fit for fit in fits if fit.state not in FINAL_STATES and fit.held is None)
        done = chosen if dry_run else _each(chosen, store.hold, reason)
    _tell(done, "would be held" if dry_run else "held")


@click.command(epilog="Example: trainwright release cs_y_range_5d/LSTM")
@fits_options
def release(*, names: tuple[str, ...], plan_id: str | None, dry_run: bool, **options: Path | None) -> None:
    """Lift the hold on fits: by JOB/Family, by job, or of a whole plan."""
    with open_store(existing_log(**options), create=False) as store:
        chosen = _unique(fit for fit in _meant(store, names, plan_id) if fit.held is not None)
        done = chosen if dry_run else _each(chosen, store.lift_hold)
    _tell(done, "would be released" if dry_run else "released")


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


def _named(store: PlanStore, names: Sequence[str], plan_id: str | None) -> tuple[FitRow, ...]:
    """The fits that names mean: of a job, or one fit; raises NotFound with the nearest name."""
    found: list[FitRow] = []
    for name in names:
        found += store.reading.fits(job=name, plan=plan_id) or (store.reading.fit(name),)
    return tuple(found)


def _meant(store: PlanStore, names: Sequence[str], plan_id: str | None) -> tuple[FitRow, ...]:
    """The fits of names, or of a whole plan; raises NotFound, and click.UsageError when neither is given."""
    if not names and plan_id is None:
        raise click.UsageError("name a fit or a job, or give --plan")
    if plan_id is not None:
        store.reading.plan_row(plan_id)
    return _named(store, names, plan_id) if names else store.reading.fits(plan=plan_id)


def _each(fits: Sequence[FitRow], do: Callable[..., int], reason: str = REASON) -> tuple[FitRow, ...]:
    """Do it to each fit and return those it was done to; one that is in another state by now is left out."""
    done: list[FitRow] = []
    for fit in fits:
        try:
            do(fit.id, reason=reason, actor=getpass.getuser())
        except WrongState:
            continue
        done.append(fit)
    return tuple(done)


def _unique(fits: Iterable[FitRow]) -> tuple[FitRow, ...]:
    return tuple({fit.id: fit for fit in fits}.values())


def _tell(fits: Sequence[FitRow], words: str) -> None:
    for fit in fits[:LINES_MAX]:
        say(f"{fit.name}  {words}")
    if len(fits) > LINES_MAX:
        say(f"… and {len(fits) - LINES_MAX} more")
    if not fits:
        say("no fit matches: trainwright jobs tells the state of each")
