"""How good a finished model is on the rows no one has seen: score, error bar, comparisons."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.breakdown import by_period, by_symbol
from executors.calibration import calibration_report
from executors.dataset import FitData
from executors.distributions import Quantiles, distribution_report
from panel.metrics import (
    CROSS_SECTIONAL,
    SYMBOL_SPECIFIC,
    Score,
    error_reduction,
    persistence,
    score,
    score_difference,
    skill,
)

EVALUATION_VERSION = 1
_DIGITS = 9  # what a float32 can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The metrics of the test rows and the rows they were measured on.

    `metrics` is JSON-able: metric (its name), score, standard_error, low, high (95 %), n, n_effective, skill
    (above no skill), beats_no_skill, baseline, baseline_score, baseline_standard_error, ahead (score less the
    baseline's, with the paired 95 % interval ahead_low to ahead_high), beats_baseline, error_reduction.
    `evaluation` is the longer account in the bundle's file evaluation.json: calibration, scores by period and
    by symbol, and the distribution where the family predicts one.
    """

    metrics: dict[str, Any]
    rows: NDArray[np.int64]
    prediction: NDArray[np.float32]
    quantiles: Quantiles | None
    evaluation: dict[str, Any]


def judge(
    data: FitData,
    prediction: NDArray[np.float32],
    *,
    training_type: str,
    quantiles: Quantiles | None = None,
) -> Judged:
    """Score `prediction` ((rows,) or (rows, classes)) of the fit's test rows against their labels.

    The baseline is persistence, the newest label of the same symbol that was complete at the row, judged by
    the same metric on the same rows. The error is compared with that of always saying the training mean (of
    classes: their training shares).
    """
    view = SYMBOL_SPECIFIC if training_type == "symbol_specific" else CROSS_SECTIONAL
    labels = _as_scored(data, data.labels_at(data.test))
    of_model = _scored(data, prediction, labels, view)
    persisted = _persisted(data)
    of_baseline = _scored(data, persisted, labels, view)
    ahead = score_difference(
        prediction,
        persisted,
        labels,
        data.panel.time_codes[data.test],
        data.panel.symbol_codes[data.test],
        task=data.code.task,
        view=view,
        horizon_bars=data.horizon_bars,
    )
    metrics: dict[str, Any] = {
        "metric": of_model.metric,
        "score": of_model.value,
        "standard_error": of_model.standard_error,
        "low": of_model.low,
        "high": of_model.high,
        "n": of_model.n,
        "n_effective": of_model.n_effective,
        "skill": skill(of_model.value, of_model.metric),
        "beats_no_skill": skill(of_model.low, of_model.metric) > 0,
        "baseline": "persistence",
        "baseline_score": of_baseline.value,
        "baseline_standard_error": of_baseline.standard_error,
        "ahead": ahead.value,
        "ahead_low": ahead.low,
        "ahead_high": ahead.high,
        "beats_baseline": ahead.low > 0,
        "error_reduction": error_reduction(prediction, labels, _constant(data), task=data.code.task),
    }
    return Judged(
        metrics=metrics,
        rows=data.test,
        prediction=prediction,
        quantiles=quantiles,
        evaluation=_evaluation(data, prediction, labels, view, quantiles),
    )


def evaluation_bytes(evaluation: Mapping[str, Any]) -> bytes:
    """Return the longer account as it is written: numbers that are not finite as null, nine digits each."""
    return json.dumps(_plain(evaluation), sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"


def _evaluation(
    data: FitData,
    prediction: NDArray[np.float32],
    labels: NDArray[np.float32],
    view: str,
    quantiles: Quantiles | None,
) -> dict[str, Any]:
    times = data.panel.time_codes[data.test]
    how: dict[str, Any] = {"task": data.code.task, "horizon_bars": data.horizon_bars}
    report = None
    if quantiles is not None:
        truth, known = data.labels_at(data.test), data.labels_at(data.train)
        report = distribution_report(quantiles, truth, known, times, horizon_bars=data.horizon_bars)
    return {
        "evaluation_version": EVALUATION_VERSION,
        "calibration": calibration_report(prediction, labels, _constant(data), times, **how),
        "distribution": report,
        "by_period": by_period(data.panel, data.test, prediction, labels, view=view, **how),
        "by_symbol": by_symbol(data.panel, data.test, prediction, labels, **how),
    }


def _plain(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _scored(data: FitData, prediction: NDArray[Any], labels: NDArray[np.float32], view: str) -> Score:
    return score(
        prediction,
        labels,
        data.panel.time_codes[data.test],
        data.panel.symbol_codes[data.test],
        task=data.code.task,
        view=view,
        horizon_bars=data.horizon_bars,
    )


def _as_scored(data: FitData, labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return labels as the metrics take them: places for classes, the data's unit for a regression."""
    return labels if data.code.task == "regression" else data.code.encoded(labels)


def _constant(data: FitData) -> float | NDArray[np.float64]:
    """Return the forecast that knows the training labels' distribution and nothing else."""
    labels = _as_scored(data, data.labels_at(data.train))
    if data.code.task != "multiclass":
        return float(labels.mean(dtype=np.float64))
    shares = np.bincount(labels.astype(np.int64), minlength=data.code.outputs) / len(labels)
    return np.asarray(shares, dtype=np.float64)  # (classes,)


def _persisted(data: FitData) -> NDArray[Any]:
    """Return the naive forecast of the test rows; where none is known yet, the constant one."""
    known = persistence(data.panel, data.target.name, data.horizon_bars)[data.test]
    is_known = np.isfinite(known)
    if data.code.task != "multiclass":
        values = _as_scored(data, np.where(is_known, known, data.code.classes[0] if data.code.classes else 0))
        return np.where(is_known, values, _constant(data))
    places = data.code.encoded(np.where(is_known, known, data.code.classes[0]).astype(np.float32))
    certain = np.eye(data.code.outputs)[places.astype(np.int64)]  # (rows, classes)
    return np.where(is_known[:, None], certain, _constant(data))
