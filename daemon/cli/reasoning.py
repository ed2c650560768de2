"""``trainwright why``: the reasons behind a fit, a job or a target, from the log."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.reading import newest_plan
from daemon.cli.screen import emit, say
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.fits import score_words
from daemon.views.waiting import Watch
from daemon.views.words import moment, names_words
from store.awaited import awaited_ids
from store.errors import NotFound
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import DecisionRow, FitRow

SHOWN_FEATURES = 12
FIT_ID_PREFIX = "f_"


@click.command(epilog="Example: trainwright why y_range_5d")
@click.argument("name")
@results_option
@json_option
def why(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Say why a fit waits or failed, or why a target was kept, dropped, routed and blocked."""
    with reader_for(**options) as reader:
        fits = _fits_of(reader, name)
        target = fits[0].target if fits else name
        decisions = _latest(reader.decisions(target))
        if not fits and not decisions:
            raise _nothing(reader, name)
        reasons = Watch(reader).reasons(fits) if fits else {}
        job_rows = _jobs_of(reader, fits)
        parts = _parts_of(reader, fits)
    if as_json:
        emit(_document(name, decisions, fits, job_rows, reasons, parts))
        return
    _show_decisions(target, decisions)
    _show_jobs(job_rows)
    for fit in fits:
        say(f"fit      {fit.name}: {_fit_words(fit, reasons)}")
        if parts[fit.id]:
            say(f"         made from {names_words([f'{part.name} {part.state}' for part in parts[fit.id]])}")


def _fits_of(reader: Reader, name: str) -> tuple[FitRow, ...]:
    """The fits a name means: of a job, of a target, or one fit; the newest plan's only."""
    found = reader.fits(job=name) or reader.fits(target=name)
    if not found and ("/" in name or name.startswith(FIT_ID_PREFIX)):
        found = (reader.fit(name),)
    return newest_plan(found)


def _parts_of(reader: Reader, fits: Sequence[FitRow]) -> dict[str, tuple[FitRow, ...]]:
    """The fits that each of these is made from, by its id."""
    known = {fit.id: fit for fit in fits}
    found = {}
    for fit in fits:
        ids = awaited_ids(fit.awaits)
        known |= {fit_id: reader.fit(fit_id) for fit_id in ids if fit_id not in known}
        found[fit.id] = tuple(known[fit_id] for fit_id in ids)
    return found


def _jobs_of(reader: Reader, fits: Sequence[FitRow]) -> tuple[Mapping[str, Any], ...]:
    """The jobs of these fits as they were planned, in plan order."""
    events = [
        reader.events(plan=fits[-1].plan_id, job=job_id, kinds=("JobPlanned",), limit=1)
        for job_id in dict.fromkeys(fit.job_id for fit in fits)
    ]
    return tuple(event.data for found in events for event in found)


def _latest(decisions: Sequence[DecisionRow]) -> tuple[DecisionRow, ...]:
    """The decisions of the newest planning that spoke of the target."""
    newest = decisions[-1].planning_id if decisions else None
    return tuple(decision for decision in decisions if decision.planning_id == newest)


def _nothing(reader: Reader, name: str) -> NotFound:
    targets = {decision.target for decision in reader.decisions() if decision.target}
    planned = {name for fit in reader.fits() for name in (fit.target, fit.job_id)}
    near = difflib.get_close_matches(name, sorted(targets | planned), n=1, cutoff=0.5)
    return NotFound(noun="target, job or fit", name=name, nearest=near[0] if near else None)


def _show_decisions(target: str, decisions: Sequence[DecisionRow]) -> None:
    if not decisions:
        return
    say(f"target   {target}   (decided {moment(decisions[-1].at)}, planning {decisions[-1].planning_id})")
    for decision in decisions:
        say(_decision_line(decision))


def _decision_line(decision: DecisionRow) -> str:
    data = decision.data
    who = decision.symbol or "all symbols"
    match decision.kind:
        case "TargetRanked":
            return f"ranked   {who}: {data['reason']}"
        case "LeakFound":
            return f"leak     {data['feature']} {data['verdict']} by {data['probe']}: {data['evidence']}"
        case "FeaturesSelected":
            shown = ", ".join(data["features"][:SHOWN_FEATURES])
            more = len(data["features"]) - SHOWN_FEATURES
            rest = f" and {more} more" if more > 0 else ""
            counts = f"{len(data['features'])} selected, {data['left_out']} left out"
            return f"features {who}: {counts}: {shown}{rest}"
        case "RouteChosen":
            return f"route    {who}: {data['route']}, {data['reason'].partition('; ')[0]}"
        case _:
            return f"{decision.kind}  {dict(data)}"


def _show_jobs(job_rows: Sequence[Mapping[str, Any]]) -> None:
    for row in job_rows:
        say(f"job      {row['job']}: {row['reason']}")
        for family, reason in _left_out(row).items():
            say(f"         without {family}: {reason}")


def _left_out(row: Mapping[str, Any]) -> Mapping[str, str]:
    """The families that the planner left out of a job, with their reasons."""
    left_out: Mapping[str, str] = (row["record"].get("metadata") or {}).get("families_left_out") or {}
    return left_out


def _fit_words(fit: FitRow, reasons: dict[str, WaitingReason]) -> str:
    if fit.id in reasons:
        state = "waiting" if fit.state == "ready" else fit.state
        return f"{state}, {reasons[fit.id].code}: {reasons[fit.id].words}"
    if fit.state == "succeeded" and fit.metrics is not None:
        return f"succeeded, {score_words(fit)} out of sample, naive {fit.metrics['baseline_score']:+.3f}"
    where = f" ({fit.place.splitlines()[0]})" if fit.place else ""
    return f"{fit.state}: {fit.sentence}{where}" if fit.sentence else fit.state


def _document(
    name: str,
    decisions: Sequence[DecisionRow],
    fits: Sequence[FitRow],
    job_rows: Sequence[Mapping[str, Any]],
    reasons: dict[str, WaitingReason],
    parts: Mapping[str, Sequence[FitRow]],
) -> dict[str, object]:
    return {
        "name": name,
        "decisions": [
            {"seq": row.seq, "at": row.at, "kind": row.kind, "symbol": row.symbol, "data": row.data}
            for row in decisions
        ],
        "jobs": [
            {"job": row["job"], "reason": row["reason"], "route": row["route"], "left_out": _left_out(row)}
            for row in job_rows
        ],
        "fits": [
            {
                "fit": fit.name,
                "state": fit.state,
                "words": _fit_words(fit, reasons),
                "made_from": {part.name: part.state for part in parts[fit.id]},
            }
            for fit in fits
        ],
    }
