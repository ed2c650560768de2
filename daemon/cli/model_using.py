"""``trainwright models predict|verify``: using a model, and seeing that it still says what it said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from daemon.cli.bundles import bundle_of
from daemon.cli.completing import models
from daemon.cli.configuration import settings_for
from daemon.cli.greedy import GreedyCommand
from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import json_option, results_option
from daemon.prediction import Forecast, forecast
from daemon.verification import verified
from executors.bundle import load_bundle

_TOLERANCE = "Largest absolute difference allowed; default none."


@click.command(
    cls=GreedyCommand, epilog="Example: trainwright models predict cs_y_range_5d/LightGBM --data-dir data"
)
@click.argument("name", shell_complete=models)
@click.option(
    "--data-dir", required=True, type=click.Path(path_type=Path), help="Where the symbol files are."
)
@click.option("--symbols", multiple=True, help="Symbols, space-separated; default those of the model.")
@click.option("--last", type=click.IntRange(min=1), help="Only the newest bars of each symbol.")
@click.option("--quantiles", is_flag=True, help="Also the label's quantiles, of families that predict them.")
@click.option("--check", is_flag=True, help="First predict the recorded test rows again, as `verify` does.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File; parquet when it ends in .parquet, else CSV or NDJSON. Default stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="NDJSON, one object a line.")
@results_option
def predict(
    *,
    name: str,
    data_dir: Path,
    symbols: tuple[str, ...],
    last: int | None,
    quantiles: bool,
    check: bool,
    output: Path | None,
    as_json: bool,
    **options: Path | None,
) -> None:
    """Predict with a saved model: one line per symbol and bar."""
    path = bundle_of(name, options)
    settings = settings_for(**options, data_dir=data_dir, symbols=symbols or None)
    if check:
        count = verified(settings, load_bundle(path)).rows
        tell(f"{count:,} recorded predictions were made again, bit for bit")
    found = forecast(settings, path, last=last, quantiles=quantiles)
    if output is not None and output.suffix == ".parquet":
        found.write_parquet(output)
    elif output is not None:
        output.write_text("".join(f"{line}\n" for line in _lines(found, as_json=as_json)), encoding="utf-8")
    else:
        for line in _lines(found, as_json=as_json):
            click.echo(line)
        return
    tell(f"{len(found.symbols):,} predictions in {output}")


@click.command(epilog="Example: trainwright models verify cs_y_range_5d/LightGBM")
@click.argument("name", shell_complete=models)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The model's data; default the plan's prepared panel."
)
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.0, help=_TOLERANCE)
@results_option
@json_option
def verify(
    *, name: str, data_dir: Path | None, tolerance: float, as_json: bool, **options: Path | None
) -> None:
    """Predict the recorded test rows again in this process and compare: every bit, unless told otherwise.

    Exit code 3 when a prediction differs or its row is not in the data.
    """
    bundle = load_bundle(bundle_of(name, options))
    settings = settings_for(**options, data_dir=data_dir)
    found = verified(settings, bundle, from_data=data_dir is not None, tolerance=tolerance)
    if as_json:
        facts = {"rows": found.rows, "different": found.different, "largest_difference": found.largest}
        emit({"path": bundle.path, "sha256": bundle.sha256, **facts})
        return
    how = "bit for bit" if found.different == 0 else f"within {tolerance:g}"
    say(f"{found.rows:,} recorded predictions of {bundle.path} were made again, {how}")


def _lines(found: Forecast, *, as_json: bool) -> Iterator[str]:
    return found.json_lines() if as_json else found.csv_lines()
