"""``trainwright models show``: all that a bundle says of its model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.bundles import bundle_of
from daemon.cli.completing import models
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from executors.cards import EVALUATION, read_card, read_file

SHOWN_IMPORTANCES = 10
SHOWN_SYMBOLS = 10
SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_MAX = 60


@click.command(epilog="Example: trainwright models show cs_y_range_5d/LightGBM")
@click.argument("name", shell_complete=models)
@results_option
@json_option
def show(name: str, *, as_json: bool, **options: Path | None) -> None:
    """Show the card of a model: a fit's name, a fit's id, or a bundle directory."""
    path = bundle_of(name, options)
    card = read_card(path)
    evaluation = _evaluation(path, card)
    if as_json:
        emit({"path": path, "card": card, "evaluation": evaluation})
        return
    say(f"{card['job']}/{card['family']}   {path}")
    for line in _facts(card):
        say(f"  {line}")
    say(table(("metric", "value"), [(key, value) for key, value in sorted(card["metrics"].items())]))
    for line in _calibration(evaluation.get("calibration") or {}, evaluation.get("distribution") or {}):
        say(line)
    _say_scores("period", "from", evaluation.get("by_period") or [])
    symbols = evaluation.get("by_symbol") or []
    _say_scores("symbol", "symbol", sorted(symbols, key=lambda one: -one["score"])[:SHOWN_SYMBOLS])
    leading = sorted(card["importances"].items(), key=lambda item: -item[1])[:SHOWN_IMPORTANCES]
    if leading:
        method = f"importance ({card['importance_method'].replace('_', ' ')})"
        say(table(("feature", method), [(feature, f"{value:.4g}") for feature, value in leading]))


def sparkline(values: Sequence[float]) -> str:
    """A line of small bars, the lowest value the lowest bar; at most 60, evenly spaced."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return ""
    count = min(len(known), SPARKS_MAX)
    shown = [known[round(place * (len(known) - 1) / (count - 1))] for place in range(count)]
    low, spread = min(shown), (max(shown) - min(shown)) or 1.0
    return "".join(SPARKS[int((value - low) / spread * (len(SPARKS) - 1))] for value in shown)


def _evaluation(path: Path, card: Mapping[str, Any]) -> dict[str, Any]:
    """The longer account beside the card; empty in bundles older than it."""
    if EVALUATION not in card["files"]:
        return {}
    found: dict[str, Any] = json.loads(read_file(path, card, EVALUATION))
    return found


def _facts(card: Mapping[str, Any]) -> list[str]:
    split, weights = card["split"], card["weights"]
    alike = "overlapping labels share theirs" if weights["overlap"] else "all rows alike"
    rows = {"to train": "rows_train", "to stop early": "rows_valid", "to judge": "rows_test"}
    ahead, features = f"{card['horizon_bars']} bars ahead", f"{len(card['features'])} features"
    lines = [
        f"target {card['target']} ({card['task']}, {ahead}), {features}",
        f"trained on {card['device']}, {card['steps']} steps, best {card['best_step']}, seed {card['seed']}",
        "rows: " + ", ".join(f"{split[name]} {purpose}" for purpose, name in rows.items()),
        f"weights: {alike}, class balance {weights['class_balance']:g}",
        f"data {card['panel_key']}, plan {card['plan']}, fit {card['fit']}",
        "libraries: " + ", ".join(f"{name} {version}" for name, version in sorted(card["versions"].items())),
    ]
    if card["parts"]:
        lines.append("made of: " + ", ".join(part["name"] for part in card["parts"]))
    for name, values in sorted(card["curve"].items()):
        if line := sparkline(values):
            lines.append(f"{name.replace('_', ' '):<11} {line} {values[0]:.4g} to {values[-1]:.4g}")
    return lines


def _calibration(found: Mapping[str, Any], distribution: Mapping[str, Any]) -> list[str]:
    lines = []
    if found.get("slope") is not None:
        error = found["slope_standard_error"]
        within = "" if error is None else f" ± {error:.2f}"
        lines.append(f"calibration: slope of label on prediction {found['slope']:.2f}{within} (1 is right)")
    if "expected_calibration_error" in found:
        lines.append(
            f"calibration: mean gap {found['expected_calibration_error']:.3f} "
            f"(by chance {found['gap_by_chance']:.3f}), Brier {found['brier']:.4f} "
            f"(constant {found['brier_constant']:.4f}), log loss {found['log_loss']:.4f} "
            f"(constant {found['log_loss_constant']:.4f})"
        )
    if distribution:
        covered = (
            f"{level:g}: {share:.3f}"
            for level, share in zip(distribution["levels"], distribution["coverage"], strict=True)
        )
        lines.append(f"share of labels below each quantile: {', '.join(covered)}")
        lines.append(
            f"CRPS {distribution['crps']:.4g} (constant {distribution['crps_constant']:.4g}), "
            f"pinball loss {100 * distribution['pinball_reduction']:+.1f}% below the constant's"
        )
    return lines


def _say_scores(header: str, key: str, entries: Sequence[Mapping[str, Any]]) -> None:
    if entries:
        rows = [
            (entry[key][:10], entry["rows"], f"{entry['score']:+.3f} ± {entry['standard_error']:.3f}")
            for entry in entries
        ]
        say(table((header, "rows", entries[0]["metric"]), rows, right=("rows", entries[0]["metric"])))
