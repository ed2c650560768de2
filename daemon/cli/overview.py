"""``trainwright status``: plans, daemons, what runs, failed, was lost and resumed, and what waits and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from daemon.cli.history import at_option, looking
from daemon.cli.screen import Tone, bar, emit, paint, say
from daemon.cli.workspace import json_option, results_option
from daemon.views.fits import step_words
from daemon.views.host_words import host_line, previous_line, trouble_line
from daemon.views.hosts import WORST_FIRST, running_by_host, standing
from daemon.views.overview import LINES_MAX, Overview, Resumption, look, overview_document
from daemon.views.remaining import Remaining
from daemon.views.waiting import Watch
from daemon.views.words import counted, counts_words, moment, span
from store.ids import host_of
from store.reasons import pause_words
from store.records import FitRow, PlanRow

TONES: dict[str, Tone] = {
    "failed": "bad", "lost": "bad", "stopped": "bad", "running": "busy", "resumed": "busy", "paused": "wait",
    "held": "wait", "waiting": "wait",
}  # fmt: skip


@click.command(epilog="Example: trainwright status --watch   (as it was two hours ago: --at -2h)")
@click.option("-w", "--watch", is_flag=True, help="Stay and show what changes; q or Ctrl-C ends it.")
@at_option
@results_option
@json_option
def status(*, watch: bool, at: str | None, as_json: bool, **options: Path | None) -> None:
    """Tell how the plans stand, what was resumed from where, what was lost, and what waits for what."""
    if watch and (as_json or at is not None):
        other = "--json: programs take trainwright events -f --json" if as_json else "--at: the past stays"
        raise click.UsageError(f"--watch does not go with {other}")
    with looking(at=at, **options) as looked:
        if watch:
            import_module("daemon.cli.watching").watch(looked.reader, lines=lines_of)
            return
        found = look(looked.reader, past=looked.seq is not None)
        if as_json:
            emit(looked.document | overview_document(found))
            return
        if looked.seq is not None:
            say(looked.words)
        show(found)


def show(found: Overview) -> None:
    """Print the overview, at most a screenful of each kind."""
    for line in lines_of(found):
        say(line)


def lines_of(found: Overview) -> Iterator[str]:
    """The overview line by line, the first word of each in its colour."""
    for line in _lines(found):
        word = line.partition(" ")[0]
        yield paint(word, TONES.get(word)) + line[len(word) :]


def _lines(found: Overview) -> Iterator[str]:
    yield from _host_lines(found)
    for pause in found.watch.pauses:
        yield f"paused   {pause_words(pause)}, since {moment(pause.at)}"
    if found.watch.held:
        yield f"held     {counted(found.watch.held, 'fit')}: trainwright jobs --state held"
    if not found.plans:
        yield "no plan yet: trainwright run --data-dir DIR --auto-targets --auto-features"
    yield from _more(len(found.plans), "plan", "trainwright status --json")
    for plan in found.plans[-LINES_MAX:]:
        yield plan_line(plan, found.left.get(plan.id))
    yield from _more(found.losses, "resumed", "trainwright events --kind LeaseExpired")
    for one in found.resumed:
        yield _resumption_line(one)
    for fit in found.running[:LINES_MAX]:
        yield _running_line(fit, found.watch)
    yield from _more(len(found.running), "running", "trainwright jobs --state running")
    for fit in found.failed:
        yield f"failed   {fit.name}  {fit.sentence}   trainwright why {fit.name}"
    yield from _more(sum(plan.failed for plan in found.plans), "failed", "trainwright jobs --all --failed")
    for group in found.watch.groups(found.plans):
        yield f"waiting  {counted(group.fits, f'{group.stage.upper()} fit')}  {group.code}: {group.words}"
    if found.plans and not any(plan.open for plan in found.plans):
        yield "nothing is left to do; the models: trainwright models ls"


def _host_lines(found: Overview) -> Iterator[str]:
    """The hosts of the log, of many those first that somebody should look at."""
    running = running_by_host(found.running)
    at_work = {told.row.host: running.get(told.row.host, Counter()).total() for told in found.hosts}
    states = {told.row.host: standing(found.watch, told.row, at_work[told.row.host]) for told in found.hosts}
    known = [told for told in found.hosts if states[told.row.host] != "removed"]
    if len(known) > LINES_MAX:
        known.sort(key=lambda told: WORST_FIRST.index(states[told.row.host]))
    for told in known[:LINES_MAX]:
        host = told.row.host
        yield host_line(told, state=states[host], running=at_work[host], now=found.watch.now)
        yield from filter(None, (previous_line(told), trouble_line(told.row, state=states[host])))
    yield from _more(len(known), "host", "trainwright hosts ls")


def _running_line(fit: FitRow, watch: Watch) -> str:
    """What a fit is at, or, when its process is known to be gone, what will become of it."""
    if (gone := watch.abandoned(fit)) is not None:
        return f"stopped  {fit.name}  {gone.words}"
    where = f" on {host_of(fit.worker)}" if watch.of_several and fit.worker else ""
    device = fit.device_used or "starting"
    return f"running  {fit.name}  {step_words(fit)}  {device}{where}, attempt {fit.attempt}"


def _more(count: int, word: str, command: str) -> Iterator[str]:
    if count > LINES_MAX:
        yield f"{word:<8} {count - LINES_MAX:,} more: {command}"


def plan_line(plan: PlanRow, left: Remaining | None) -> str:
    """How a plan stands, and how long it will still take as far as anything tells."""
    words = counts_words(
        succeeded=plan.succeeded,
        failed=plan.failed,
        unavailable=plan.unavailable,
        cancelled=plan.cancelled,
        still_open=plan.open,
    )
    progress = bar(plan.fits - plan.open, plan.fits)
    rest = f"  {left.words} left" if left is not None and left.seconds is not None else ""
    size = f"{counted(plan.jobs, 'job')}, {counted(plan.fits, 'fit')}"
    return f"plan     {plan.id}  {size}: {words}{rest}  {progress}"


def _resumption_line(one: Resumption) -> str:
    lost = f"attempt {one.attempt} ended: {one.cause}, {span(one.lost_seconds)} lost"
    if one.state == "waiting":
        return f"lost     {one.name}  to be resumed; {lost}"
    if one.state in ("failed", "cancelled") and one.resumed_from_step is None:
        return f"lost     {one.name}  {one.state}; {lost}"
    step = "the beginning" if one.resumed_from_step is None else f"step {one.resumed_from_step}"
    return f"resumed  {one.name}  from {step} (attempt {one.attempt + 1}); {lost}"
