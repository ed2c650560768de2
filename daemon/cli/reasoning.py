"""``trainwright why``: the reasons behind a fit, a job or a target, from the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.screen import emit, iso, say
from daemon.cli.waiting import Watch
from daemon.cli.workspace import json_option, reader_for, results_option, settings_for
from store.errors import NotFound
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import DecisionRow, FitRow, JobRow

SHOWN_FEATURES = 12


@click.command(epilog="Example: trainwright why y_range_5d")
@click.argument("name")
@results_option
@json_option
def why(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Say why a fit waits or failed, or why a target was kept, dropped, routed and blocked."""
    with reader_for(settings_for(**options)) as reader:
        fits = _fits_of(reader, name)
        target = fits[0].target if fits else name
        decisions = _latest(reader.decisions(target))
        if not fits and not decisions:
            raise _nothing(reader, name)
        reasons = Watch(reader).reasons(reader.fits(plan=fits[-1].plan_id)) if fits else {}
        job_rows = _jobs_of(reader, fits)
    if as_json:
        emit(_document(name, decisions, fits, job_rows, reasons))
        return
    _show_decisions(target, decisions)
    _show_jobs(job_rows)
    for fit in fits:
        say(f"fit      {fit.name}: {_fit_words(fit, reasons)}")


def _fits_of(reader: Reader, name: str) -> tuple[FitRow, ...]:
    """The fits a name means: of a job, of a target, or one fit; the newest plan's only."""
    found = reader.fits(job=name) or reader.fits(target=name)
    if not found:
        try:
            found = (reader.fit(name),)
        except NotFound:
            return ()
    newest = found[-1].plan_id
    return tuple(fit for fit in found if fit.plan_id == newest)


def _jobs_of(reader: Reader, fits: Sequence[FitRow]) -> tuple[JobRow, ...]:
    names = {fit.job_id for fit in fits}
    return tuple(job for job in reader.jobs(fits[-1].plan_id) if job.job_id in names) if fits else ()


def _latest(decisions: Sequence[DecisionRow]) -> tuple[DecisionRow, ...]:
    """The decisions of the newest planning that spoke of the target."""
    newest = decisions[-1].planning_id if decisions else None
    return tuple(decision for decision in decisions if decision.planning_id == newest)


def _nothing(reader: Reader, name: str) -> NotFound:
    import difflib  # noqa: PLC0415

    known = {decision.target for decision in reader.decisions() if decision.target} | {
        fit.name for fit in reader.fits()
    }
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
    return NotFound(noun="target, job or fit", name=name, nearest=near[0] if near else None)


def _show_decisions(target: str, decisions: Sequence[DecisionRow]) -> None:
    if not decisions:
        return
    say(f"target   {target}   (decided {iso(decisions[-1].at)}, planning {decisions[-1].planning_id})")
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


def _show_jobs(job_rows: Sequence[JobRow]) -> None:
    for row in job_rows:
        say(f"job      {row.job_id}: {row.reason}")


def _fit_words(fit: FitRow, reasons: dict[str, WaitingReason]) -> str:
    if fit.id in reasons:
        return f"waiting, {reasons[fit.id].code}: {reasons[fit.id].words}"
    if fit.state == "succeeded" and fit.metrics is not None:
        metrics = fit.metrics
        score = f"{metrics['metric']} {metrics['score']:+.3f} ± {metrics['standard_error']:.3f}"
        return f"succeeded, {score} out of sample, naive {metrics['baseline_score']:+.3f}"
    where = f" ({fit.place.splitlines()[0]})" if fit.place else ""
    return f"{fit.state}: {fit.sentence}{where}" if fit.sentence else fit.state


def _document(
    name: str,
    decisions: Sequence[DecisionRow],
    fits: Sequence[FitRow],
    job_rows: Sequence[JobRow],
    reasons: dict[str, WaitingReason],
) -> dict[str, object]:
    return {
        "name": name,
        "decisions": [
            {"seq": row.seq, "at": row.at, "kind": row.kind, "symbol": row.symbol, "data": row.data}
            for row in decisions
        ],
        "jobs": [{"job": row.job_id, "reason": row.reason, "route": row.route} for row in job_rows],
        "fits": [{"fit": fit.name, "state": fit.state, "words": _fit_words(fit, reasons)} for fit in fits],
    }
