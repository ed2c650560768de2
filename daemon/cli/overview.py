"""``trainwright status``: plans, daemons, what runs, failed, was lost and resumed, and what waits and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.fits import fit_document, step_words
from daemon.cli.history import at_option, looking
from daemon.cli.host_words import HostTold, host_line, hosts_told, previous_line
from daemon.cli.screen import bar, emit, moment, say, span
from daemon.cli.waiting import Watch, alive_then
from daemon.cli.words import counts_words
from daemon.cli.workspace import json_option, results_option
from store.reading import Reader
from store.reasons import pause_words
from store.records import EventRow, FitRow, PlanRow

LINES_MAX = 8
LOSSES_PAGE = 1000
LOSS_KINDS = ("LeaseExpired", "FitReleased")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A fit that lost its process: what was lost, and from which step it went on.

    `resumed_from_step` is None for a start from the beginning; `state` is "waiting" until it went on.
    """

    name: str
    attempt: int
    cause: str
    lost_seconds: float
    at: datetime
    resumed_from_step: int | None
    state: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything status tells."""

    watch: Watch
    hosts: tuple[HostTold, ...]
    plans: tuple[PlanRow, ...]
    running: tuple[FitRow, ...]
    failed: tuple[FitRow, ...]
    resumed: tuple[Resumption, ...]
    losses: int


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


def look(reader: Reader, *, past: bool = False) -> Overview:
    """Read what status tells: the newest failures and losses only, however many there are."""
    plans = reader.plans()
    newest, losses = _losses(reader)
    watch = Watch(reader, is_dead=alive_then) if past else Watch(reader)
    return Overview(
        watch=watch,
        hosts=hosts_told(reader, watch.hosts),
        plans=plans,
        running=reader.fits(states=("claimed", "running")),
        failed=_failed(reader, plans),
        resumed=tuple(_resumption(reader, event) for event in newest),
        losses=losses,
    )


def _losses(reader: Reader) -> tuple[tuple[EventRow, ...], int]:
    """The newest losses of a process, oldest of them first, and how many there were at all."""
    newest: tuple[EventRow, ...] = ()
    count = after = 0
    while page := reader.events(kinds=LOSS_KINDS, after=after, limit=LOSSES_PAGE):
        newest, count, after = (*newest, *page)[-LINES_MAX:], count + len(page), page[-1].seq
        if len(page) < LOSSES_PAGE:
            break
    return newest, count


def _failed(reader: Reader, plans: Sequence[PlanRow]) -> tuple[FitRow, ...]:
    """Failed fits of the newest plans first, at most a screenful."""
    found: list[FitRow] = []
    for plan in reversed(plans):
        if plan.failed and len(found) < LINES_MAX:
            found += reader.fits(plan=plan.id, states=("failed",), limit=LINES_MAX - len(found))
    return tuple(found)


def _resumption(reader: Reader, event: EventRow) -> Resumption:
    """What became of a loss."""
    fit = reader.fit(event.fit or "")
    starts = reader.events(fit=fit.id, after=event.seq, kinds=("FitStarted",), limit=1)
    return Resumption(
        name=fit.name,
        attempt=event.attempt or 0,
        cause=event.data["cause"],
        lost_seconds=event.data.get("lost_seconds", 0.0),
        at=event.at,
        resumed_from_step=starts[0].data.get("resumed_from_step") if starts else None,
        state=fit.state if starts or fit.state in ("failed", "cancelled") else "waiting",
    )


def overview_document(found: Overview) -> dict[str, Any]:
    """Return the overview as a JSON document; `failed` and `resumed` hold the newest, the counts all."""
    watch = found.watch
    return {
        "at": watch.now,
        "workers": sorted(watch.workers),
        "hosts": [told.document for told in found.hosts],
        "plans": [dataclasses.asdict(plan) | {"open": plan.open} for plan in found.plans],
        "running": [fit_document(fit, None) for fit in found.running],
        "failed": [fit_document(fit, None) for fit in found.failed],
        "waiting": [dataclasses.asdict(group) for group in watch.groups(found.plans)],
        "resumed": [dataclasses.asdict(one) for one in found.resumed],
        "losses": found.losses,
        "pauses": [dataclasses.asdict(pause) for pause in watch.pauses],
        "held": watch.held,
    }


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
