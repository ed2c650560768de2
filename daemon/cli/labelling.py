"""``trainwright label``: raw bars in, features and targets out."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.greedy import GreedyCommand
from daemon.cli.screen import emit, say, table, tell
from panel import label_directory
from panel.labels import HORIZONS


@click.command(cls=GreedyCommand, epilog="Example: trainwright label --data-dir bars --output-dir data")
@click.option(
    "--data-dir", required=True, type=click.Path(path_type=Path), help="Raw OHLCV bars, any layout."
)
@click.option(
    "--output-dir", required=True, type=click.Path(path_type=Path), help="Where symbol=X/X.parquet go."
)
@click.option("--symbols", multiple=True, help="Only these symbols (space-separated); default all.")
@click.option("--horizons", multiple=True, type=click.IntRange(min=1), help="Bars ahead; default 1 and 5.")
@click.option("--interval", help="Which bar interval, when the data has several (5m, 1d).")
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of the table.")
def label(
    *,
    data_dir: Path,
    output_dir: Path,
    symbols: tuple[str, ...],
    horizons: tuple[int, ...],
    interval: str | None,
    as_json: bool,
) -> None:
    """Make features known at each bar's close, and targets that start at the next bar."""
    summary = label_directory(
        data_dir, output_dir, symbols=symbols or None, horizons=horizons or HORIZONS, interval=interval
    )
    if as_json:
        emit(
            {
                "directory": summary.out_dir,
                "rows": dict(summary.rows),
                "features": list(summary.features),
                "targets": list(summary.targets),
                "notes": list(summary.notes),
            }
        )
        return
    say(table(("symbol", "rows"), sorted(summary.rows.items()), right=("rows",)))
    say(f"{len(summary.features)} features: {', '.join(summary.features)}")
    say(f"{len(summary.targets)} targets: {', '.join(summary.targets)}")
    for note in summary.notes:
        tell(f"note: {note}")
    say(f"next  trainwright run --data-dir {output_dir} --auto-targets --auto-features")
