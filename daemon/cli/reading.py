"""``trainwright status|jobs|job``: what is done, running, waiting, lost and resumed. Loads little."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.screen import bar, emit, iso, say, span, table
from daemon.cli.waiting import OPEN_STATES, Watch
from daemon.cli.workspace import json_option, reader_for, results_option, settings_for
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import FitRow, HostRow, PlanRow

LINES_MAX = 8
STATES = ("ready", "claimed", "running", "succeeded", "failed", "unavailable", "cancelled")
LOSS_KINDS = ("LeaseExpired", "FitReleased", "FitStarted")


@click.command(epilog="Example: trainwright status")
@results_option
@json_option
def status(*, as_json: bool, **options: Path | None) -> None:
    """Tell how the plans stand, what was resumed from where, what was lost, and what waits for what."""
    with reader_for(settings_for(**options)) as reader:
        watch = Watch(reader)
        plans = reader.plans()
        fits = reader.fits(states=("ready", "claimed", "running", "failed"))
        reasons = watch.reasons(fits)
        resumed = _resumptions(reader)
        if as_json:
            emit(_status_document(watch, plans, fits, reasons, resumed))
            return
        for host in watch.hosts:
            say(_host_line(host, watch))
        for plan in plans[-LINES_MAX:]:
            say(_plan_line(plan))
        _show_resumptions(resumed)
        _show_open(fits, reasons)
        if not plans:
            say("no plan yet: trainwright run --data-dir DIR --auto-targets --auto-features")


@click.command(epilog="Example: trainwright jobs --failed")
@click.option("--plan", "plan_id", help="Only this plan; default the newest.")
@click.option("--all", "every_plan", is_flag=True, help="All plans.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only fits in this state.")
@click.option("--failed", is_flag=True, help="Only failed fits.")
@click.option("--target", help="Only this target.")
@click.option("--family", help="Only this family.")
@results_option
@json_option
def jobs(
    *,
    plan_id: str | None,
    every_plan: bool,
    states: tuple[str, ...],
    failed: bool,
    target: str | None,
    family: str | None,
    as_json: bool,
    **options: Path | None,
) -> None:
    """List the fits, one line each, with the reason why each waits."""
    with reader_for(settings_for(**options)) as reader:
        plans = reader.plans()
        plan = plan_id or (plans[-1].id if plans and not every_plan else None)
        if plan is not None:
            reader.plan_row(plan)
        reasons = Watch(reader).reasons(reader.fits(plan=plan))
        wanted = (*states, "failed") if failed else states
        fits = reader.fits(plan=plan, target=target, family=family, states=wanted or None)
    if as_json:
        emit({"fits": [fit_document(fit, reasons.get(fit.id)) for fit in fits]})
        return
    rows = [
        (fit.name, fit.stage, fit.state, _progress(fit), _score(fit), _note(fit, reasons)) for fit in fits
    ]
    say(table(("fit", "stage", "state", "step", "score", "note"), rows, right=("step", "score")))


@click.command(epilog="Example: trainwright job cs_y_range_5d/LightGBM")
@click.argument("name")
@results_option
@json_option
def job(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Tell everything about one fit (an id, or JOB/Family) or about all fits of a job."""
    with reader_for(settings_for(**options)) as reader:
        fits = reader.fits(job=name) or (reader.fit(name),)
        reasons = Watch(reader).reasons(reader.fits(plan=fits[-1].plan_id))
        attempts = {fit.id: reader.attempts(fit.id) for fit in fits}
    if as_json:
        emit(
            {
                "fits": [
                    fit_document(fit, reasons.get(fit.id))
                    | {"attempts": [dataclasses.asdict(attempt) for attempt in attempts[fit.id]]}
                    for fit in fits
                ]
            }
        )
        return
    for fit in fits:
        _show_fit(fit, reasons)
        for attempt in attempts[fit.id]:
            began = (
                "from the beginning"
                if attempt.resumed_from_step is None
                else f"from step {attempt.resumed_from_step}"
            )
            ended = attempt.outcome or "under way"
            why = f": {attempt.sentence or attempt.cause}" if attempt.sentence or attempt.cause else ""
            say(f"  attempt {attempt.attempt}  {iso(attempt.claimed_at)}  {began}, {ended}{why}")


def fit_document(fit: FitRow, reason: WaitingReason | None) -> dict[str, Any]:
    """One fit as a JSON document, with the reason why it waits."""
    waiting = None if reason is None else {"code": reason.code, "words": reason.words}
    return {"name": fit.name, **dataclasses.asdict(fit), "waiting": waiting}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A fit that lost its process: what was lost, and from which step it went on (None: from the start)."""

    name: str
    attempt: int
    cause: str
    lost_seconds: float
    at: datetime
    resumed_from_step: int | None
    state: str


def _resumptions(reader: Reader) -> list[Resumption]:
    """Every loss of a process and what became of it, oldest first."""
    found = []
    for fit in reader.fits():
        if fit.attempt < 2 and fit.expiries == 0:
            continue
        events = reader.events(fit=fit.id, kinds=LOSS_KINDS)
        for place, event in enumerate(events):
            if event.kind == "FitStarted":
                continue
            after = next((later for later in events[place + 1 :] if later.kind == "FitStarted"), None)
            found.append(
                Resumption(
                    name=fit.name,
                    attempt=event.attempt or 0,
                    cause=event.data["cause"],
                    lost_seconds=event.data.get("lost_seconds", 0.0),
                    at=event.at,
                    resumed_from_step=None if after is None else after.data.get("resumed_from_step"),
                    state="waiting" if after is None else fit.state,
                )
            )
    return sorted(found, key=lambda one: one.at)


def _show_resumptions(resumed: Sequence[Resumption]) -> None:
    for one in resumed[-LINES_MAX:]:
        step = "the beginning" if one.resumed_from_step is None else f"step {one.resumed_from_step}"
        where = "to be resumed" if one.state == "waiting" else f"from {step} (attempt {one.attempt + 1})"
        say(
            f"resumed  {one.name}  {where}; attempt {one.attempt} ended: {one.cause}, "
            f"{span(one.lost_seconds)} lost"
        )


def _status_document(
    watch: Watch,
    plans: Sequence[PlanRow],
    fits: Sequence[FitRow],
    reasons: dict[str, WaitingReason],
    resumed: Sequence[Resumption],
) -> dict[str, Any]:
    return {
        "at": watch.now,
        "workers": sorted(watch.workers),
        "hosts": [dataclasses.asdict(host) for host in watch.hosts],
        "plans": [dataclasses.asdict(plan) | {"open": plan.open} for plan in plans],
        "fits": [fit_document(fit, reasons.get(fit.id)) for fit in fits],
        "resumed": [dataclasses.asdict(one) for one in resumed],
    }


def _host_line(host: HostRow, watch: Watch) -> str:
    previous = f"; previous stop: {host.previous_stop}" if host.previous_stop else ""
    if host.state == "working" and host.worker in watch.workers:
        up = span((watch.now - host.started_at).total_seconds())
        return f"daemon   up {up} on {host.host}, pid {host.pid}{previous}"
    if host.state == "working":
        return f"daemon   gone without a word on {host.host} (pid {host.pid}); start it: trainwright daemon"
    return f"daemon   stopped on {host.host} at {iso(host.stopped_at)}: {host.cause}"


def _plan_line(plan: PlanRow) -> str:
    ended = plan.fits - plan.open
    counts = Counter(
        {
            "done": plan.succeeded,
            "failed": plan.failed,
            "not available": plan.unavailable,
            "cancelled": plan.cancelled,
            "open": plan.open,
        }
    )
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"plan     {plan.id}  {plan.jobs} jobs, {plan.fits} fits: {words}  {bar(ended, plan.fits)}"


def _show_open(fits: Sequence[FitRow], reasons: dict[str, WaitingReason]) -> None:
    for fit in [fit for fit in fits if fit.state in ("claimed", "running")][:LINES_MAX]:
        say(f"running  {fit.name}  {_progress(fit)}  {fit.device_used or 'starting'}, attempt {fit.attempt}")
    for fit in [fit for fit in fits if fit.state == "failed"][-LINES_MAX:]:
        say(f"failed   {fit.name}  {fit.sentence}   trainwright why {fit.name}")
    waiting = [fit for fit in fits if fit.state in OPEN_STATES and fit.id in reasons]
    for stage in ("cpu", "gpu"):
        codes = Counter(reasons[fit.id].code for fit in waiting if fit.stage == stage)
        for code, count in codes.most_common():
            words = next(
                reasons[fit.id].words
                for fit in waiting
                if fit.stage == stage and reasons[fit.id].code == code
            )
            say(f"waiting  {count} in stage {stage}  {code}: {words}")


def _show_fit(fit: FitRow, reasons: dict[str, WaitingReason]) -> None:
    say(f"{fit.name}  {fit.state}   ({fit.id} of plan {fit.plan_id})")
    say(
        f"  target {fit.target}, symbol {fit.symbol or 'all'}, {fit.route}, stage {fit.stage}, "
        f"priority {fit.priority}"
    )
    note = _note(fit, reasons)
    if note:
        say(f"  {note}")
    if fit.metrics is not None:
        say(f"  {_score(fit)}   bundle {fit.bundle}")
    if fit.log:
        say(f"  log {fit.log}")


def _progress(fit: FitRow) -> str:
    if fit.step is None or fit.state not in OPEN_STATES:
        return "-"
    return f"{max(fit.step, fit.checkpoint_step or 0)}/{fit.steps_total}"


def _score(fit: FitRow) -> str:
    metrics = fit.metrics
    return (
        "-"
        if metrics is None
        else f"{metrics['metric']} {metrics['score']:+.3f} ± {metrics['standard_error']:.3f}"
    )


def _note(fit: FitRow, reasons: dict[str, WaitingReason]) -> str:
    if fit.id in reasons:
        return f"{reasons[fit.id].code}: {reasons[fit.id].words}"
    if fit.stage == "gpu" and fit.device_used == "cpu":
        return f"ran on the CPU: {fit.device_reason}"
    return fit.sentence or ""
