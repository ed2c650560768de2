"""``trainwright jobs|job``: the fits, one line each, and one fit with all its attempts. Loads little."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.history import at_option, looking
from daemon.cli.screen import emit, say, table, tell
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.fits import OPEN_STATES, fit_document, note_words, score_words, step_words
from daemon.views.waiting import Watch, alive_then
from daemon.views.words import moment
from executors.families import resolve
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import AttemptRow, FitRow

STATES = ("ready", "claimed", "running", "succeeded", "failed", "unavailable", "cancelled")
URGENCY = (("claimed", "running"), ("failed",), ("ready",), ("succeeded", "unavailable", "cancelled"))
LINES_SHOWN = 100


@click.command(epilog="Example: trainwright jobs --failed")
@click.option("--plan", "plan_id", help="Only this plan; default the newest.")
@click.option("--all", "every_plan", is_flag=True, help="All plans.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice((*STATES, "held")), help="Only fits in this state."
)
@click.option("--failed", is_flag=True, help="Only failed fits.")
@click.option("--target", help="Only this target.")
@click.option("--family", help="Only this family, in any spelling.")
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
    states: tuple[str, ...],
    failed: bool,
    target: str | None,
    family: str | None,
    limit: int | None,
    as_json: bool,
    **options: str | Path | None,
) -> None:
    """List the fits, one line each, with the reason why each waits.

    With a limit running and failed fits come before waiting ones, and those before done ones.
    """
    if limit is None:
        limit = 0 if as_json else LINES_SHOWN
    with looking(**options) as looked:
        reader = looked.reader
        question = Question(
            plan=_plan_meant(reader, plan_id, every_plan=every_plan),
            target=target,
            family=None if family is None else resolve(family).name,
            states=(*states, "failed") if failed else states or STATES,
        )
        fits = question.answer(reader, limit + 1 if limit else None)
        shown = fits[:limit] if limit else fits
        watch = Watch(reader) if looked.seq is None else Watch(reader, is_dead=alive_then)
        reasons = watch.reasons(shown)
    more = len(fits) > len(shown)
    if as_json:
        emit(
            looked.document
            | {"fits": [fit_document(fit, reasons.get(fit.id)) for fit in shown], "more": more}
        )
        return
    if looked.seq is not None:
        tell(looked.words)
    if shown:
        rows = [_row(fit, reasons.get(fit.id)) for fit in shown]
        say(table(("fit", "stage", "state", "step", "score", "note"), rows, right=("step", "score")))
    else:
        tell("no fit is like that; all of them: trainwright jobs --all")
    if more:
        tell(f"the first {limit}; narrow with --state, --target or --family, or show all: --limit 0")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which fits are asked for; None means any."""

    plan: str | None
    target: str | None
    family: str | None
    states: tuple[str, ...]

    def answer(self, reader: Reader, limit: int | None) -> tuple[FitRow, ...]:
        """The fits in plan order; with a limit the most urgent states first, each in plan order."""
        if "held" in self.states:
            return self._read(reader, OPEN_STATES, limit, held=True)
        if limit is None:
            return self._read(reader, self.states, None)
        found: list[FitRow] = []
        for group in URGENCY:
            wanted = tuple(state for state in group if state in self.states)
            if wanted and len(found) < limit:
                found += self._read(reader, wanted, limit - len(found))
        return tuple(found)

    def _read(
        self, reader: Reader, states: tuple[str, ...], limit: int | None, *, held: bool = False
    ) -> tuple[FitRow, ...]:
        return reader.fits(
            plan=self.plan, target=self.target, family=self.family, states=states, limit=limit, held=held
        )


def _plan_meant(reader: Reader, plan_id: str | None, *, every_plan: bool) -> str | None:
    """The plan to list, None for all; raises NotFound."""
    if plan_id is not None:
        return reader.plan_row(plan_id).id
    plans = () if every_plan else reader.plans()
    return plans[-1].id if plans else None


def _row(fit: FitRow, reason: WaitingReason | None) -> tuple[object, ...]:
    note = note_words(fit, reason)
    return (fit.name, fit.stage, fit.state, step_words(fit), score_words(fit), note)


@click.command(epilog="Example: trainwright job cs_y_range_5d/LightGBM")
@click.argument("name")
@results_option
@json_option
def job(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Tell everything about one fit (an id, or JOB/Family) or about all fits of a job."""
    with reader_for(**options) as reader:
        fits = newest_plan(reader.fits(job=name)) or (reader.fit(name),)
        reasons = Watch(reader).reasons(fits)
        attempts = {fit.id: reader.attempts(fit.id) for fit in fits}
    if as_json:
        documents = [
            fit_document(fit, reasons.get(fit.id))
            | {"attempts": [dataclasses.asdict(attempt) for attempt in attempts[fit.id]]}
            for fit in fits
        ]
        emit({"fits": documents})
        return
    for fit in fits:
        _show_fit(fit, reasons.get(fit.id), attempts[fit.id])


def newest_plan(fits: Sequence[FitRow]) -> tuple[FitRow, ...]:
    """Those of the newest plan among these."""
    return tuple(fit for fit in fits if fit.plan_id == fits[-1].plan_id) if fits else ()


def _show_fit(fit: FitRow, reason: WaitingReason | None, attempts: Sequence[AttemptRow]) -> None:
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
        say(f"  {_attempt_words(attempt)}")


def _attempt_words(attempt: AttemptRow) -> str:
    began = "from the beginning"
    if attempt.resumed_from_step is not None:
        began = f"from step {attempt.resumed_from_step}"
    why = attempt.sentence or attempt.cause
    ended = f"{attempt.outcome or 'under way'}{f': {why}' if why else ''}"
    return f"attempt {attempt.attempt}  {moment(attempt.claimed_at)}  {began}, {ended}"
