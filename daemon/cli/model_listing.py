"""``trainwright models ls|leaderboard``: what was trained and how good it is; reads the event log alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from daemon.cli.scoreboard import scoreboard
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.trained import model_summary
from daemon.views.words import span
from store.records import FitRow

HEADERS = ("", "model", "plan", "device", "score", "naive", "beats naive", "took")
RIGHT = ("", "score", "naive", "took")


@click.command(epilog="Example: trainwright models ls")
@click.option("--plan", "plan_id", help="Only this plan.")
@results_option
@json_option
def ls(*, plan_id: str | None, as_json: bool, **options: Path | None) -> None:
    """List the models with their out-of-sample scores beside a naive forecast."""
    fits = _trained(plan_id, options)
    if as_json:
        emit({"models": [model_summary(fit) for fit in fits]})
        return
    say(scoreboard(fits) if fits else "no model yet: trainwright status tells what is under way")


@click.command(epilog="Example: trainwright models leaderboard --target fwd_ret_5d")
@click.option("--target", help="Only this target.")
@click.option("--plan", "plan_id", help="Only this plan; default all plans.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Models per target.")
@results_option
@json_option
def leaderboard(
    *, target: str | None, plan_id: str | None, top: int, as_json: bool, **options: Path | None
) -> None:
    """Rank the models of each target by their out-of-sample score, across plans.

    A symbol's own models stand apart from those of all symbols: they are judged on other rows. The first of
    many is flattered by the choice; `models compare` says whether it is surely ahead of the second.
    """
    boards = list(_boards(_trained(plan_id, options), target, top))
    if as_json:
        emit({"leaderboards": boards})
        return
    if not boards:
        say("no model yet: trainwright status tells what is under way")
    for place, board in enumerate(boards):
        if place:
            say()
        of = f" of {board['symbol']}" if board["symbol"] else ""
        shown = f"the first {top} of {board['models']}" if board["models"] > top else str(board["models"])
        say(f"{board['target']}{of}: {shown} by {board['metric']}")
        say(table(HEADERS, [_line(entry) for entry in board["best"]], right=RIGHT, shrink="plan"))


def _trained(plan_id: str | None, options: dict[str, Path | None]) -> tuple[FitRow, ...]:
    with reader_for(**options) as reader:
        if plan_id is not None:
            reader.plan_row(plan_id)
        return reader.fits(plan=plan_id, states=("succeeded",))


def _boards(fits: Iterable[FitRow], target: str | None, top: int) -> Iterator[dict[str, Any]]:
    """Yield one document a (target, symbol, metric), in the order of their names."""
    groups: dict[tuple[str, str, str], list[FitRow]] = {}
    for fit in fits:
        if fit.metrics is not None and target in (None, fit.target):
            groups.setdefault((fit.target, fit.symbol or "", fit.metrics["metric"]), []).append(fit)
    for (name, symbol, metric), own in sorted(groups.items()):
        ranked = sorted(own, key=lambda fit: (-float((fit.metrics or {})["skill"]), fit.name, fit.plan_id))
        yield {
            "target": name,
            "symbol": symbol or None,
            "metric": metric,
            "models": len(own),
            "best": [
                {"rank": place, **model_summary(fit)} for place, fit in enumerate(ranked[:top], start=1)
            ],
        }


def _line(entry: dict[str, Any]) -> tuple[object, ...]:
    metrics = entry["metrics"]
    return (
        entry["rank"],
        entry["name"],
        entry["plan"],
        entry["device"] or "-",
        f"{metrics['score']:+.3f} ± {metrics['standard_error']:.3f}",
        f"{metrics['baseline_score']:+.3f}",
        _beats(metrics),
        "-" if entry["seconds"] is None else span(entry["seconds"]),
    )


def _beats(metrics: dict[str, Any]) -> str:
    if metrics["beats_baseline"]:
        return "yes"
    return "not surely" if metrics["beats_no_skill"] else "no skill"
