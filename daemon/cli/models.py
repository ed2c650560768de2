"""``trainwright models``: the saved models, listed, judged, compared, used and taken elsewhere."""

from __future__ import annotations

import click

from daemon.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("daemon.cli.model_listing:ls", "the models with their out-of-sample scores"),
    "leaderboard": ("daemon.cli.model_listing:leaderboard", "by target, the best fit first, across plans"),
    "show": ("daemon.cli.model_showing:show", "a model's card, calibration, periods, symbols, importances"),
    "compare": ("daemon.cli.model_comparing:compare", "two or more models of a target on their common rows"),
    "predict": ("daemon.cli.model_using:predict", "predict with a model: CSV, NDJSON or parquet"),
    "promote": ("daemon.cli.model_promoting:promote", "a name of its own for a model; the names there are"),
    "export": ("daemon.cli.model_exporting:export", "a model as an ONNX file, checked by replaying it"),
    "verify": ("daemon.cli.model_using:verify", "predict the recorded test rows again, bit for bit"),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog="Example: trainwright models leaderboard")
def models() -> None:
    """List, judge, compare, use and export the saved models."""
