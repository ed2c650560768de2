"""``trainwright retry|cancel``: words of a person about fits, recorded as events with their actor."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from daemon.cli.screen import say
from daemon.cli.workspace import existing_log, results_option
from store import PlanStore, open_store
from store.records import FitRow
from store.state import FINAL_STATES

RETRYABLE = ("failed", "unavailable", "cancelled")
LINES_MAX = 20


@click.command(epilog="Example: trainwright retry --failed")
@click.argument("names", nargs=-1)
@click.option("--failed", is_flag=True, help="Every failed fit.")
@click.option("--plan", "plan_id", help="Only of this plan.")
@click.option("--dry-run", is_flag=True, help="Say which fits it would be.")
@results_option
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
        for fit in () if dry_run else chosen:
            store.retry(fit.id, reason="asked for on the command line", actor=getpass.getuser())
    _tell(chosen, "would be ready again" if dry_run else "ready again")
    if chosen and not dry_run:
        say("next  trainwright daemon --drain    or leave them to the daemon at work")


@click.command(epilog="Example: trainwright cancel cs_y_range_5d/LSTM")
@click.argument("names", nargs=-1)
@click.option("--plan", "plan_id", help="Only of this plan; alone: all its fits that have not ended.")
@click.option("--dry-run", is_flag=True, help="Say which fits it would be.")
@results_option
def cancel(*, names: tuple[str, ...], plan_id: str | None, dry_run: bool, **options: Path | None) -> None:
    """Cancel fits that have not ended: by JOB/Family, by job, or of a whole plan."""
    if not names and plan_id is None:
        raise click.UsageError("name a fit or a job, or give --plan")
    with open_store(existing_log(**options), create=False) as store:
        if plan_id is not None:
            store.reading.plan_row(plan_id)
        fits = _named(store, names, plan_id) if names else store.reading.fits(plan=plan_id)
        chosen = _unique(fit for fit in fits if fit.state not in FINAL_STATES)
        for fit in () if dry_run else chosen:
            store.cancel(fit.id, reason="asked for on the command line", actor=getpass.getuser())
    _tell(chosen, "would be cancelled" if dry_run else "cancelled")


def _named(store: PlanStore, names: Sequence[str], plan_id: str | None) -> tuple[FitRow, ...]:
    """The fits that names mean: of a job, or one fit; raises NotFound with the nearest name."""
    found: list[FitRow] = []
    for name in names:
        found += store.reading.fits(job=name, plan=plan_id) or (store.reading.fit(name),)
    return tuple(found)


def _unique(fits: Iterable[FitRow]) -> tuple[FitRow, ...]:
    return tuple({fit.id: fit for fit in fits}.values())


def _tell(fits: Sequence[FitRow], words: str) -> None:
    for fit in fits[:LINES_MAX]:
        say(f"{fit.name}  {words}")
    if len(fits) > LINES_MAX:
        say(f"… and {len(fits) - LINES_MAX} more")
    if not fits:
        say("no fit matches: trainwright jobs tells the state of each")
