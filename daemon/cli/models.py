"""``trainwright models ls|show|predict``: the saved models, and using one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.cli.configuration import settings_for
from daemon.cli.greedy import GreedyCommand
from daemon.cli.scoreboard import scoreboard, verdict
from daemon.cli.screen import emit, say, table, tell
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.errors import DaemonError
from executors.cards import read_card
from store.records import FitRow

PLACES = 6
SHOWN_IMPORTANCES = 10


class NoModel(DaemonError):
    """There is no bundle of that name."""

    exit_code = 4

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}", fix="list the models with: trainwright models ls")


@click.group()
def models() -> None:
    """List, show and use the saved models."""


@models.command(epilog="Example: trainwright models ls")
@click.option("--plan", "plan_id", help="Only this plan.")
@results_option
@json_option
def ls(*, plan_id: str | None, as_json: bool, **options: Path | None) -> None:
    """List the models with their out-of-sample scores beside a naive forecast."""
    with reader_for(**options) as reader:
        if plan_id is not None:
            reader.plan_row(plan_id)
        fits = reader.fits(plan=plan_id, states=("succeeded",))
    if as_json:
        emit({"models": [_summary(fit) for fit in fits]})
        return
    say(scoreboard(fits) if fits else "no model yet: trainwright status tells what is under way")


def _summary(fit: FitRow) -> dict[str, Any]:
    return {
        "name": fit.name,
        "fit": fit.id,
        "plan": fit.plan_id,
        "target": fit.target,
        "symbol": fit.symbol,
        "family": fit.family,
        "device": fit.device_used,
        "bundle": fit.bundle,
        "sha256": fit.bundle_sha256,
        "metrics": fit.metrics,
        "verdict": None if fit.metrics is None else verdict(fit.metrics),
    }


@models.command(epilog="Example: trainwright models show cs_y_range_5d/LightGBM")
@click.argument("name")
@results_option
@json_option
def show(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Show the card of a model: a fit's name, a fit's id, or a bundle directory."""
    path = _bundle_of(name, options)
    card = read_card(path)
    if as_json:
        emit({"path": path, "card": card})
        return
    say(f"{card['job']}/{card['family']}   {path}")
    say(
        f"  target {card['target']} ({card['task']}, {card['horizon_bars']} bars ahead), "
        f"{len(card['features'])} features"
    )
    say(
        f"  trained on {card['device']}, {card['steps']} steps, best {card['best_step']}, seed {card['seed']}"
    )
    split = card["split"]
    say(
        f"  rows: {split['rows_train']} to train, {split['rows_valid']} to stop early, "
        f"{split['rows_test']} to judge"
    )
    say(table(("metric", "value"), [(key, value) for key, value in sorted(card["metrics"].items())]))
    leading = sorted(card["importances"].items(), key=lambda item: -item[1])[:SHOWN_IMPORTANCES]
    if leading:
        say(table(("feature", "importance"), leading))


@models.command(
    cls=GreedyCommand, epilog="Example: trainwright models predict cs_y_range_5d/LightGBM --data-dir data"
)
@click.argument("name")
@click.option(
    "--data-dir", required=True, type=click.Path(path_type=Path), help="Where the symbol files are."
)
@click.option("--symbols", multiple=True, help="Symbols, space-separated; default those of the model.")
@click.option("--last", type=click.IntRange(min=1), help="Only the newest bars of each symbol.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="CSV file; default stdout.")
@results_option
def predict(
    *,
    name: str,
    data_dir: Path,
    symbols: tuple[str, ...],
    last: int | None,
    output: Path | None,
    **options: Path | None,
) -> None:
    """Predict with a saved model: one line per symbol and bar."""
    from daemon.prediction import prediction_lines  # noqa: PLC0415 (loads the data and the training library)

    settings = settings_for(**options, data_dir=data_dir, symbols=symbols or None)
    lines = prediction_lines(settings, _bundle_of(name, options), last=last)
    if output is None:
        for line in lines:
            click.echo(line)
        return
    with output.open("w", encoding="utf-8") as file:
        count = sum(1 for line in lines if file.write(f"{line}\n"))
    tell(f"{count - 1:,} predictions in {output}")


def _bundle_of(name: str, options: dict[str, Path | None]) -> Path:
    """The bundle directory that a name means.

    Raises:
        NoModel: the fit has no bundle.
        NotFound: there is no such fit.
    """
    if Path(name).is_dir():
        return Path(name)
    with reader_for(**options) as reader:
        fit = reader.fit(name)
    if fit.bundle is None:
        raise NoModel(name, f"the fit is {fit.state}, it has no model")
    return Path(fit.bundle)
