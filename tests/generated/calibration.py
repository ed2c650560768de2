"""Are the z-scores of the screens standard normal where nothing is to be found? Counted on noise targets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from generated.panels import Generated, panel_of
from generated.world import Floats
from scipy.special import ndtr

from panel.folds import holdout_from
from planner.scores import axis_of, channels_of
from planner.screens import screen

NOISE = ("short_noise", "long_noise", "leak_only")
LINES = (2.0, 3.0, 4.0)
SCREENS = {
    "rank": "rank, all symbols",
    "fold": "folded, all symbols",
    "lag": "lags and windows, all symbols",
    "alone_rank": "rank, one symbol",
    "alone_fold": "folded, one symbol",
    "alone_lag": "lags and windows, one symbol",
    "own": "one symbol against the rest",
}


def null_scores(made: Generated) -> Mapping[str, Floats]:
    """Every z of a safe feature with a noise target, by screen; each (pairs,)."""
    with tempfile.TemporaryDirectory(prefix="tw-null-") as folder:
        panel = panel_of(made, Path(folder))
        axis = axis_of(panel, holdout_from(panel))
        channels = channels_of(panel, panel.targets)
        screened = screen(axis, panel.feature_names, channels)
    leaking = {leak.feature for leak in made.truth.leaks}
    safe = np.array([name not in leaking for name in panel.feature_names])
    noise = np.array([made.truth.target(one.target).kind in NOISE for one in channels])
    pairs = np.ix_(safe, noise)
    alone, pooled = screened.alone, screened.pooled
    return {
        "rank": pooled.rank[pairs].ravel(),
        "fold": pooled.fold[pairs].ravel(),
        "lag": pooled.lag[pairs].ravel(),
        "alone_rank": np.concatenate([one[pairs].ravel() for one in alone.rank]),
        "alone_fold": np.concatenate([one[pairs].ravel() for one in alone.fold]),
        "alone_lag": np.concatenate([one[pairs].ravel() for one in alone.lag]),
        "own": np.concatenate([one[pairs].ravel() for one in screened.own.z]),
    }


def calibration_table(panels: Iterable[Generated]) -> str:
    """Per screen: pairs, spread, and the share beyond 2, 3 and 4 beside that of a normal."""
    found: dict[str, list[Floats]] = {name: [] for name in SCREENS}
    for made in panels:
        for name, scores in null_scores(made).items():
            found[name].append(scores)
    normal = [2 * ndtr(-line) for line in LINES]
    columns = ["screen", "pairs", "spread of z", *(f"beyond {line:g}" for line in LINES), "largest"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, words in SCREENS.items():
        scores = np.abs(np.concatenate(found[name]))
        beyond = " | ".join(f"{100 * np.mean(scores > line):.3f} %" for line in LINES)
        spread = np.sqrt(np.mean(scores**2))
        lines.append(f"| {words} | {len(scores):,} | {spread:.3f} | {beyond} | {scores.max():.2f} |")
    shares = " | ".join(f"{100 * share:.3f} %" for share in normal)
    lines.append(f"| a standard normal | | 1 | {shares} | |")
    return "\n".join(lines)
