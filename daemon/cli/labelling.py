"""``trainwright label``: raw bars in, features and targets out."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.greedy import GreedyCommand
from daemon.cli.screen import emit, say, table


@click.command(cls=GreedyCommand, epilog="Example: trainwright label --data-dir bars --output-dir data")
@click.option("--data-dir", required=True, type=click.Path(path_type=Path), help="Raw OHLCV bars, any known layout.")
@click.option("--output-dir", required=True, type=click.Path(path_type=Path), help="Where symbol=X/X.parquet go.")
@click.option("--symbols", multiple=True, help="Only these symbols (space-separated); default all.")
@click.option("--horizons", multiple=True, type=click.IntRange(min=1), help="Bars ahead; default 1 and 5.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of the table.")
def label(
    data_dir: Path, output_dir: Path, symbols: tuple[str, ...], horizons: tuple[int, ...], *, as_json: bool
) -> None:
    """Make features known at each bar's close, and targets that start at the next bar."""
    from panel import label_directory  # noqa: PLC0415 (pandas loads here and not with the command tree)

    given = {"horizons": horizons} if horizons else {}
    summary = label_directory(data_dir, output_dir, symbols=symbols or None, **given)
    if as_json:
        emit({"label": summary})
        return
