"""Predicted quantiles, and how well they foretell: coverage, pinball loss, CRPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panel.ranks import mean_error, t_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Quantiles of the label by row, in the label's unit.

    Attributes:
        levels: ascending, in (0, 1).
        values: (rows, levels) float32, never falling along a row; NaN where nothing can be said.
    """

    levels: tuple[float, ...]
    values: NDArray[np.float32]


def pooled_mean(values: Floats, times: NDArray[Any], horizon_bars: int) -> tuple[float, float, float, float]:
    """Return (mean, standard error, low, high of 95 %) of `values` (rows,) at the time codes `times`.

    Rows of one time move together and labels overlap: the error is that of the sums by timestamp (Driscoll
    and Kraay, 1998). With fewer than two timestamps the error is infinite.
    """
    mean = float(values.mean())
    codes, place = np.unique(times, return_inverse=True)
    if len(codes) < 2:
        return mean, np.inf, -np.inf, np.inf
    sums = np.bincount(place.reshape(-1), weights=values - mean, minlength=len(codes))
    error, effective = mean_error(sums * (len(codes) / len(values)), horizon_bars)
    reach = t_quantile(effective - 1.0) * error
    return mean, error, mean - reach, mean + reach


def distribution_report(
    quantiles: Quantiles,
    labels: NDArray[np.float32],
    training: NDArray[np.float32],
    times: NDArray[Any],
    *,
    horizon_bars: int,
) -> dict[str, Any]:
    """Return how the quantiles of test rows compare with their labels, JSON-able.

    levels, coverage (share of labels at or below each quantile) with standard errors, pinball (mean loss by
    level; Koenker and Bassett, 1978), their mean beside that of the training labels' own quantiles, crps
    (continuous ranked probability score, twice the pinball loss integrated over the levels; Gneiting and
    Raftery, 2007), crossings (rows whose quantiles fall), intervals (each pair of levels around the middle).
    Rows without finite numbers are left out; empty when none is left.
    """
    keep = np.isfinite(labels) & np.isfinite(quantiles.values).all(axis=1)
    if not keep.any():
        return {}
    levels = np.array(quantiles.levels)
    values, truth = quantiles.values[keep].astype(np.float64), labels[keep].astype(np.float64)
    constant = np.broadcast_to(np.quantile(training.astype(np.float64), levels), values.shape)
    below = (truth[:, None] <= values).astype(np.float64)  # (rows, levels)
    covered = [pooled_mean(column, times[keep], horizon_bars) for column in below.T]
    losses, standard = pinball(values, truth, levels), pinball(constant, truth, levels)
    return {
        "rows": int(keep.sum()),
        "levels": list(quantiles.levels),
        "coverage": [found[0] for found in covered],
        "coverage_standard_error": [found[1] for found in covered],
        "pinball": losses.tolist(),
        "mean_pinball": float(losses.mean()),
        "mean_pinball_constant": float(standard.mean()),
        "pinball_reduction": _reduction(float(losses.mean()), float(standard.mean())),
        "crps": _crps(losses, levels),
        "crps_constant": _crps(standard, levels),
        "crossings": int((np.diff(values, axis=1) < 0).any(axis=1).sum()),
        "intervals": [
            _interval(first, last, levels, values, below, times=times[keep], horizon_bars=horizon_bars)
            for first, last in _pairs(quantiles.levels)
        ],
    }


def pinball(values: Floats, labels: Floats, levels: Floats) -> Floats:
    """Return the mean pinball loss of quantiles (rows, levels) at each level, (levels,)."""
    above = labels[:, None] - values
    return np.asarray(np.mean(np.maximum(levels * above, (levels - 1.0) * above), axis=0))


def _crps(losses: Floats, levels: Floats) -> float:
    """Twice the integral of the loss over the levels; each stands for what lies nearest to it."""
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]])
    return float(2.0 * (losses * np.diff(edges)).sum())


def _reduction(loss: float, constant: float) -> float:
    return 1.0 - loss / constant if constant > 0.0 else 0.0


def _pairs(levels: tuple[float, ...]) -> list[tuple[int, int]]:
    """Return the places of levels that lie symmetrically around the middle, the widest pair first."""
    places = range(len(levels))
    pairs = ((first, last) for first in places for last in places if first < last)
    return [(first, last) for first, last in pairs if abs(levels[first] + levels[last] - 1.0) < 1e-9]


def _interval(
    first: int,
    last: int,
    levels: Floats,
    values: Floats,
    below: Floats,
    *,
    times: NDArray[Any],
    horizon_bars: int,
) -> Mapping[str, float]:
    inside = below[:, last] - below[:, first]
    mean, error, _, _ = pooled_mean(inside, times, horizon_bars)
    return {
        "low": float(levels[first]),
        "high": float(levels[last]),
        "nominal": float(levels[last] - levels[first]),
        "coverage": mean,
        "coverage_standard_error": error,
        "mean_width": float(np.mean(values[:, last] - values[:, first])),
    }
