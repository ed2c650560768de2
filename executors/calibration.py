"""Whether predictions mean what they say: slope of label on prediction, reliability of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.distributions import Floats, pooled_mean

BINS = 10
_CERTAIN = 1e-15


def calibration_report(
    prediction: NDArray[Any],
    labels: NDArray[Any],
    constant: float | NDArray[np.float64],
    times: NDArray[Any],
    *,
    task: str,
    horizon_bars: int,
) -> dict[str, Any]:
    """Return how well predictions of test rows are calibrated, JSON-able; empty when no row can be judged.

    `prediction` is (rows,) or, of a multiclass target, (rows, classes) probabilities; `labels` (rows,) the
    label or the class's place; `constant` the forecast that knows the training labels and nothing else.
    """
    finite = np.isfinite(prediction) if prediction.ndim == 1 else np.isfinite(prediction).all(axis=1)
    keep = finite & np.isfinite(labels)
    if not keep.any():
        return {}
    predicted, truth = prediction[keep].astype(np.float64), labels[keep].astype(np.float64)
    if task == "regression":
        return _of_numbers(predicted, truth, times[keep], horizon_bars)
    if task == "binary":
        found = _of_probabilities(predicted, truth)
        shares: Floats = np.array([1.0 - float(constant), float(constant)])
        losses = _losses(np.column_stack([1.0 - predicted, predicted]), truth, shares)
        # Of two classes the score is commonly that of one of them, half of the sum over both.
        return {**found, **losses, **{name: losses[name] / 2.0 for name in ("brier", "brier_constant")}}
    return _of_classes(predicted, truth, np.asarray(constant))


def _of_numbers(predicted: Floats, truth: Floats, times: NDArray[Any], horizon_bars: int) -> dict[str, Any]:
    """Return bias, intercept and slope of label on prediction, and both in tenths of the rows.

    A slope of 1 says that predicted differences come true in full (Mincer and Zarnowitz, 1969); its error
    counts rows of one time as one and overlapping labels as what they are worth.
    """
    bias, bias_error, _, _ = pooled_mean(truth - predicted, times, horizon_bars)
    found: dict[str, Any] = {"kind": "regression", "rows": len(truth)}
    found |= {"bias": bias, "bias_standard_error": bias_error}
    away = predicted - predicted.mean()
    spread = float(np.mean(away**2))
    slope: dict[str, Any] = dict.fromkeys(("slope", "slope_standard_error", "slope_low", "slope_high"))
    if spread > 1e-14 * max(1e-30, float(np.mean(predicted**2))):
        value = float(np.mean(away * truth)) / spread
        residual = truth - truth.mean() - value * away
        _, error, low, high = pooled_mean(away * residual / spread, times, horizon_bars)
        slope = {"slope": value, "slope_standard_error": error}
        slope |= {"slope_low": value + low, "slope_high": value + high}
        slope["intercept"] = float(truth.mean()) - value * float(predicted.mean())
    bins = [
        {"rows": len(rows), "predicted": float(predicted[rows].mean()), "observed": float(truth[rows].mean())}
        for rows in _tenths(predicted)
    ]
    return {**found, "intercept": None, **slope, "bins": bins}


def _of_probabilities(predicted: Floats, truth: Floats) -> dict[str, Any]:
    """Return the reliability of probabilities in bins of equally many rows, and the mean gap.

    The gap (expected calibration error; Naeini et al., AAAI 2015, with the bins of Nguyen and O'Connor, 2015)
    is above 0 by chance alone: `gap_by_chance` is what perfectly calibrated probabilities would show if rows
    were independent.
    """
    bins, gap, chance = [], 0.0, 0.0
    for rows in _tenths(predicted):
        said, seen, share = float(predicted[rows].mean()), float(truth[rows].mean()), len(rows) / len(truth)
        gap += share * abs(said - seen)
        variance = float(np.mean(predicted[rows] * (1.0 - predicted[rows]))) / len(rows)
        chance += share * float(np.sqrt(2.0 / np.pi * max(0.0, variance)))
        bins.append({"rows": len(rows), "predicted": said, "observed": seen})
    return {
        "kind": "binary",
        "rows": len(truth),
        "expected_calibration_error": gap,
        "gap_by_chance": chance,
        "bins": bins,
    }


def _of_classes(predicted: Floats, truth: Floats, shares: Floats) -> dict[str, Any]:
    """Return each class's reliability against all others, the mean gap, and the proper scores."""
    by_class = [
        _of_probabilities(predicted[:, place], (truth == place).astype(np.float64))
        for place in range(predicted.shape[1])
    ]
    return {
        "kind": "multiclass",
        "rows": len(truth),
        "expected_calibration_error": float(np.mean([one["expected_calibration_error"] for one in by_class])),
        "gap_by_chance": float(np.mean([one["gap_by_chance"] for one in by_class])),
        "classes": [{"place": place, "bins": one["bins"]} for place, one in enumerate(by_class)],
        **_losses(predicted, truth, shares),
    }


def _losses(predicted: Floats, truth: Floats, shares: Floats) -> dict[str, float]:
    """Return Brier score (1950) and log loss of probabilities (rows, classes) beside those of `shares`."""
    places = truth.astype(np.int64)
    hit = np.eye(predicted.shape[1])[places]
    constant = np.broadcast_to(shares, predicted.shape)
    rows = np.arange(len(places))
    return {
        "brier": float(np.mean(((predicted - hit) ** 2).sum(axis=1))),
        "brier_constant": float(np.mean(((constant - hit) ** 2).sum(axis=1))),
        "log_loss": float(np.mean(-np.log(np.clip(predicted[rows, places], _CERTAIN, 1.0)))),
        "log_loss_constant": float(np.mean(-np.log(np.clip(constant[rows, places], _CERTAIN, 1.0)))),
    }


def _tenths(predicted: Floats) -> list[NDArray[np.intp]]:
    """Return the rows in the order of their prediction, parted into at most ten parts of nearly one size."""
    order = np.argsort(predicted, kind="stable")
    return [part for part in np.array_split(order, BINS) if len(part)]
