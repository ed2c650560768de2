"""``trainwright status``: plans, daemons, what runs, failed, was lost and resumed, and what waits and why."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.history import at_option, looking
from daemon.cli.screen import bar, emit, say
from daemon.cli.workspace import json_option, results_option
from daemon.views.fits import step_words
from daemon.views.host_words import host_line, previous_line
from daemon.views.overview import LINES_MAX, Overview, Resumption, look, overview_document
from daemon.views.waiting import Watch
from daemon.views.words import counts_words, moment, span
from store.reasons import pause_words
from store.records import FitRow, PlanRow


@click.command(epilog="Example: trainwright status --at -2h")
@at_option
@results_option
@json_option
def status(*, at: str | None, as_json: bool, **options: Path | None) -> None:
    """Tell how the plans stand, what was resumed from where, what was lost, and what waits for what."""
    with looking(at=at, **options) as looked:
        found = look(looked.reader, past=looked.seq is not None)
        if as_json:
            emit(looked.document | overview_document(found))
            return
        if looked.seq is not None:
            say(looked.words)
        show(found)


def show(found: Overview) -> None:
    """Print the overview, at most a screenful of each kind."""
    for told in found.hosts:
        say(host_line(told, is_alive=told.row.worker in found.watch.workers, now=found.watch.now))
        if (before := previous_line(told)) is not None:
            say(before)
    for pause in found.watch.pauses:
        say(f"paused   {pause_words(pause)}, since {moment(pause.at)}")
    if found.watch.held:
        say(f"held     {found.watch.held:,} fits: trainwright jobs --state held")
    if not found.plans:
        say("no plan yet: trainwright run --data-dir DIR --auto-targets --auto-features")
    _show_more(len(found.plans), "plan", "trainwright status --json")
    for plan in found.plans[-LINES_MAX:]:
        say(_plan_line(plan))
    _show_more(found.losses, "resumed", "trainwright events --kind LeaseExpired")
    for one in found.resumed:
        say(_resumption_line(one))
    for fit in found.running[:LINES_MAX]:
        say(_running_line(fit, found.watch))
    _show_more(len(found.running), "running", "trainwright jobs --state running")
    for fit in found.failed:
        say(f"failed   {fit.name}  {fit.sentence}   trainwright why {fit.name}")
    _show_more(sum(plan.failed for plan in found.plans), "failed", "trainwright jobs --all --failed")
    for group in found.watch.groups(found.plans):
        say(f"waiting  {group.fits:,} {group.stage.upper()} fits  {group.code}: {group.words}")
    if found.plans and not any(plan.open for plan in found.plans):
        say("nothing is left to do; the models: trainwright models ls")


def _running_line(fit: FitRow, watch: Watch) -> str:
    """What a fit is at, or, when its process is known to be gone, what will become of it."""
    if fit.worker in watch.workers:
        return (
            f"running  {fit.name}  {step_words(fit)}  {fit.device_used or 'starting'}, attempt {fit.attempt}"
        )
    saved = f"step {fit.checkpoint_step}" if fit.checkpoint_step else "the beginning"
    return f"stopped  {fit.name}  its process is gone; resumes from {saved} when a daemon starts"


def _show_more(count: int, word: str, command: str) -> None:
    if count > LINES_MAX:
        say(f"{word:<8} {count - LINES_MAX:,} more: {command}")


def _plan_line(plan: PlanRow) -> str:
    words = counts_words(
        succeeded=plan.succeeded,
        failed=plan.failed,
        unavailable=plan.unavailable,
        cancelled=plan.cancelled,
        still_open=plan.open,
    )
    progress = bar(plan.fits - plan.open, plan.fits)
    return f"plan     {plan.id}  {plan.jobs:,} jobs, {plan.fits:,} fits: {words}  {progress}"


def _resumption_line(one: Resumption) -> str:
    lost = f"attempt {one.attempt} ended: {one.cause}, {span(one.lost_seconds)} lost"
    if one.state == "waiting":
        return f"lost     {one.name}  to be resumed; {lost}"
    if one.state in ("failed", "cancelled") and one.resumed_from_step is None:
        return f"lost     {one.name}  {one.state}; {lost}"
    step = "the beginning" if one.resumed_from_step is None else f"step {one.resumed_from_step}"
    return f"resumed  {one.name}  from {step} (attempt {one.attempt + 1}); {lost}"
