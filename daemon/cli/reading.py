"""``trainwright jobs|job``: the fits, one line each, and one fit with all its attempts. Loads little."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.completing import fits as fit_names
from daemon.cli.completing import plans
from daemon.cli.filtering import check_targets, filter_of, filter_options, filter_words
from daemon.cli.history import at_option, looking
from daemon.cli.screen import STATE_TONES, emit, say, table, tell
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.fits import fit_document, note_words, score_words, step_words
from daemon.views.waiting import Watch, alive_then
from daemon.views.words import moment
from store.filters import URGENCY, FitFilter
from store.ids import host_of
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import AttemptRow, FitRow

LINES_SHOWN = 100


@click.command(epilog="Example: trainwright jobs --where 'state:failed family:lightgbm target:y_*'")
@click.option("--plan", "plan_id", shell_complete=plans, help="Only this plan; default the newest.")
@click.option("--all", "every_plan", is_flag=True, help="All plans.")
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"At most so many lines, 0 for all; default {LINES_SHOWN}, with --json all.",
)
@at_option
@results_option
@json_option
def jobs(
    *,
    plan_id: str | None,
    every_plan: bool,
    limit: int | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """List the fits, one line each, with the reason why each waits.

    With a limit running and failed fits come before waiting ones, and those before done ones.
    """
    if limit is None:
        limit = 0 if as_json else LINES_SHOWN
    words = filter_words(options)
    with looking(**options) as looked:
        reader = looked.reader
        plan = _plan_meant(reader, plan_id, every_plan=every_plan)
        where = filter_of(words, plan=plan) or FitFilter(plan=plan)
        check_targets(reader, where)
        shown, total = fits_of(reader, where, limit)
        watch = Watch(reader) if looked.seq is None else Watch(reader, is_dead=alive_then)
        reasons = watch.reasons(shown)
    more = total > len(shown)
    if as_json:
        documents = [fit_document(fit, reasons.get(fit.id)) for fit in shown]
        emit(looked.document | {"fits": documents, "more": more, "total": total})
        return
    if looked.seq is not None:
        tell(looked.words)
    if shown:
        rows = [_row(fit, reasons.get(fit.id), of_several=watch.of_several) for fit in shown]
        headers = ("fit", "stage", "state", "step", "score", "note")
        say(table(headers, rows, right=("step", "score"), tones={"state": STATE_TONES}))
    else:
        tell("no fit is like that; all of them: trainwright jobs --all")
    if more:
        tell(f"the first {limit} of {total:,}; narrow with --where, or show all: --limit 0")


def fits_of(reader: Reader, where: FitFilter, limit: int) -> tuple[tuple[FitRow, ...], int]:
    """The fits in plan order; with a limit the most urgent states first. And how many there are."""
    if limit == 0:
        found = reader.fits_where(where)
        return found, len(found)
    if where == FitFilter(plan=where.plan):  # whole plans are counted already
        return _most_urgent(reader, where.plan, limit)
    page = reader.fit_page(where, order="urgency", limit=limit)
    return page.rows, page.total


def _most_urgent(reader: Reader, plan: str | None, limit: int) -> tuple[tuple[FitRow, ...], int]:
    plans = reader.plans() if plan is None else (reader.plan_row(plan),)
    found: list[FitRow] = []
    for group in URGENCY:
        if len(found) < limit:
            found += reader.fits(plan=plan, states=group, limit=limit - len(found))
    return tuple(found), sum(one.fits for one in plans)


def _plan_meant(reader: Reader, plan_id: str | None, *, every_plan: bool) -> str | None:
    """The plan to list, None for all; raises NotFound."""
    if plan_id is not None:
        return reader.plan_row(plan_id).id
    known = () if every_plan else reader.names("plan", limit=1)
    return known[0] if known else None


def _row(fit: FitRow, reason: WaitingReason | None, *, of_several: bool) -> tuple[object, ...]:
    note = note_words(fit, reason, of_several=of_several)
    return (fit.name, fit.stage, fit.state, step_words(fit), score_words(fit), note)


@click.command(epilog="Example: trainwright job cs_y_range_5d/LightGBM")
@click.argument("name", shell_complete=fit_names)
@results_option
@json_option
def job(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Tell everything about one fit (an id, or JOB/Family) or about all fits of a job."""
    with reader_for(**options) as reader:
        fits = newest_plan(reader.fits(job=name)) or (reader.fit(name),)
        watch = Watch(reader)
        reasons = watch.reasons(fits)
        attempts = {fit.id: reader.attempts(fit.id) for fit in fits}
        hosts = {row.host for row in watch.hosts}
        hosts |= {host_of(attempt.worker) for several in attempts.values() for attempt in several}
    if as_json:
        documents = [
            fit_document(fit, reasons.get(fit.id))
            | {"attempts": [dataclasses.asdict(attempt) for attempt in attempts[fit.id]]}
            for fit in fits
        ]
        emit({"fits": documents})
        return
    for fit in fits:
        _show_fit(fit, reasons.get(fit.id), attempts[fit.id], of_several=len(hosts) > 1)


def newest_plan(fits: Sequence[FitRow]) -> tuple[FitRow, ...]:
    """Those of the newest plan among these."""
    return tuple(fit for fit in fits if fit.plan_id == fits[-1].plan_id) if fits else ()


def _show_fit(
    fit: FitRow, reason: WaitingReason | None, attempts: Sequence[AttemptRow], *, of_several: bool
) -> None:
    say(f"{fit.name}  {fit.state}   ({fit.id} of plan {fit.plan_id})")
    say(
        f"  target {fit.target}, symbol {fit.symbol or 'all'}, {fit.route}, stage {fit.stage}, "
        f"priority {fit.priority}"
    )
    note = note_words(fit, reason)
    if note:
        say(f"  {note}")
    if fit.metrics is not None:
        say(f"  {score_words(fit)}   bundle {fit.bundle}")
    if fit.log:
        say(f"  log {fit.log}")
    for attempt in attempts:
        say(f"  {_attempt_words(attempt, of_several=of_several)}")


def _attempt_words(attempt: AttemptRow, *, of_several: bool) -> str:
    """When and from where it began and how it ended; of several hosts also on which, where its files lie."""
    where = f"on {host_of(attempt.worker)}, " if of_several else ""
    began = "from the beginning"
    if attempt.resumed_from_step is not None:
        began = f"from step {attempt.resumed_from_step}"
    why = attempt.sentence or attempt.cause
    ended = f"{attempt.outcome or 'under way'}{f': {why}' if why else ''}"
    return f"attempt {attempt.attempt}  {moment(attempt.claimed_at)}  {where}{began}, {ended}"
