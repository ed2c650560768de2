"""``trainwright models compare``: which of some models is surely better, and how alike they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from daemon.cli.bundles import bundle_of
from daemon.cli.completing import models
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from executors.bundle import load_bundle
from executors.comparing import Comparison, compare_bundles


@click.command(epilog="Example: trainwright models compare cs_y_range_5d/LightGBM cs_y_range_5d/LSTM")
@click.argument("names", nargs=-1, required=True, shell_complete=models)
@results_option
@json_option
def compare(*, names: tuple[str, ...], as_json: bool, **options: Path | None) -> None:
    """Compare models of one target on the test rows that all of them have on record.

    NAMES are fits or bundle directories, two or more. The error of a difference is that of the paired rows.
    """
    found = compare_bundles({name: load_bundle(bundle_of(name, options)) for name in names})
    if as_json:
        emit(_document(found))
        return
    say(f"{found.target}: {len(found.scores)} models on {found.rows:,} common test rows, by {found.metric}")
    ranked = sorted(found.scores.items(), key=lambda item: -item[1].value)
    scored = [(name, f"{score.value:+.3f} ± {score.standard_error:.3f}") for name, score in ranked]
    say(table(("model", "score"), scored, right=("score",)))
    say()
    say(table(_HEADERS, [_line(found, place) for place in range(len(found.differences))], right=_RIGHT))
    if len(found.differences) > 1:
        say(f"of {len(found.differences)} differences one in twenty looks sure where there is none")


_HEADERS = ("", "model", "against", "ahead by", "95 %", "sure", "correlation")
_RIGHT = ("", "ahead by", "correlation")


def _line(found: Comparison, place: int) -> tuple[object, ...]:
    one = found.differences[place]
    correlation = "-" if one.correlation is None else f"{one.correlation:.3f}"
    return (
        place + 1,
        one.first,
        one.second,
        f"{one.ahead.value:+.3f}",
        f"{one.ahead.low:+.3f} to {one.ahead.high:+.3f}",
        "yes" if one.is_sure else "no",
        correlation,
    )


def _document(found: Comparison) -> dict[str, Any]:
    differences = [
        {
            "first": one.first,
            "second": one.second,
            "ahead": dataclasses.asdict(one.ahead),
            "sure": one.is_sure,
            "correlation": one.correlation,
        }
        for one in found.differences
    ]
    return {
        "target": found.target,
        "metric": found.metric,
        "rows": found.rows,
        "models": {name: dataclasses.asdict(score) for name, score in found.scores.items()},
        "differences": differences,
    }
