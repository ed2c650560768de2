"""Two small learners for measuring skill: ridge regression from a Gram matrix and short boosting.

They are there to ask "can this be predicted at all?", not to be deployed: few rounds, few leaves, fixed
settings, deterministic. Their mean is the prediction that is judged, so there is one test and not two.
"""

import functools
import os
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from planner.config import RankingConfig

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_TAIL = 0.01  # features are cut at this quantile and its mirror before they are standardised
_LABEL_TAIL = 0.005
_QUANTILE_ROWS = 20_000
_ROWS_PER_THREAD = 40_000
_MOST_THREADS = 8
_MOST_DEVIATIONS = 10.0


@dataclass(slots=True)
class FoldRows:
    """Features of one fold, standardised on its training rows, shared by every target with these rows."""

    train: Float32s  # (rows, features) raw
    test: Float32s  # (test rows, features) raw
    train_z: Float32s = field(init=False)  # standardised, missing values 0
    test_z: Float32s = field(init=False)
    gram: Floats = field(init=False)  # (features, features) of train_z
    _binned: dict[tuple[int, ...], Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        low, high, mean, spread = _moments(self.train)
        self.train_z = _standardised(self.train, low, high, mean, spread)
        self.test_z = _standardised(self.test, low, high, mean, spread)
        self.gram = self.train_z.T.astype(np.float64) @ self.train_z

    def binned(self, columns: npt.NDArray[np.intp], bins: int) -> Any:  # noqa: ANN401 - the library has no types
        """Return the training rows of some features in bins, built once; the label is set by its user."""
        key = tuple(int(place) for place in columns)
        if key not in self._binned:
            threads = thread_count(len(self.train))
            settings = {"max_bin": bins, "feature_pre_filter": False, "verbosity": -1, "num_threads": threads}
            raw = np.ascontiguousarray(self.train[:, columns])
            self._binned[key] = _lightgbm().Dataset(raw, params=settings, free_raw_data=True)
        return self._binned[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFit:
    """What one fold says about one target."""

    prediction: Floats  # (test rows,) or (test rows, classes)
    correlation: Floats  # (features,) of the standardised feature with the ranked label, training rows
    ridge: Floats  # (features,) absolute coefficients of standardised features
    gain: Floats  # (features,) total gain in boosting


@functools.cache
def _lightgbm() -> ModuleType:
    """Load the library on first use: it costs more than a second, and a cached plan needs none of it."""
    return import_module("lightgbm")


def thread_count(rows: int) -> int:
    """Return threads worth starting for so many rows: one per 40,000, at most 8 and all cores."""
    return max(1, min(os.cpu_count() or 1, _MOST_THREADS, rows // _ROWS_PER_THREAD))


def fit_fold(
    rows: FoldRows, label: Floats, *, task: str, classes: int, config: RankingConfig, seed: int
) -> FoldFit:
    """Fit both learners on the training rows and predict the test rows.

    `label` (train rows,) is finite: numbers for regression, 0 and 1 for binary, class places for multiclass.
    Regression labels are cut at their 0.5 % tails. The prediction is the mean of both learners.
    """
    targets = _target_columns(label, task, classes)  # (rows, outputs)
    centre = targets.mean(axis=0)
    moments = rows.train_z.T.astype(np.float64) @ (targets - centre)  # (features, outputs)
    penalty = config.ridge_penalty * len(label)
    coefficients = np.linalg.solve(rows.gram + penalty * np.eye(len(rows.gram)), moments)
    linear = rows.test_z @ coefficients + centre
    correlation = _correlations(rows, targets)
    screened = np.sort(np.argsort(-np.abs(correlation), kind="stable")[: config.max_screened_features])
    boosted, gain = _boost(rows, screened, targets, label, task=task, config=config, seed=seed)
    if task != "regression":
        linear = np.clip(linear, 0.0, 1.0)
    gains = np.zeros(len(correlation))
    gains[screened] = gain
    prediction = (linear + boosted) / 2.0
    return FoldFit(
        prediction=prediction if task == "multiclass" else prediction[:, 0],
        correlation=correlation,
        ridge=np.abs(coefficients).sum(axis=1),
        gain=gains,
    )


def _boost(
    rows: FoldRows,
    columns: npt.NDArray[np.intp],
    targets: Floats,
    label: Floats,
    *,
    task: str,
    config: RankingConfig,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return boosting's prediction (test rows, outputs) and the gain of each screened feature."""
    data = rows.binned(columns, config.boosting_bins)
    data.set_label(targets[:, 0] if task == "regression" else label)
    objective = {"regression": "l2", "binary": "binary", "multiclass": "multiclass"}[task]
    settings = {
        "objective": objective,
        "num_leaves": config.boosting_leaves,
        "learning_rate": config.boosting_rate,
        "max_bin": config.boosting_bins,
        "min_data_in_leaf": min(config.boosting_leaf_rows, max(5, len(label) // 20)),
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": thread_count(len(label)),
        "seed": seed,
        "verbosity": -1,
        **({"num_class": targets.shape[1]} if task == "multiclass" else {}),
    }
    model = _lightgbm().train(settings, data, num_boost_round=config.boosting_rounds)
    predicted = np.asarray(model.predict(rows.test[:, columns], num_threads=settings["num_threads"]))
    return predicted.reshape(len(rows.test), -1), model.feature_importance("gain").astype(np.float64)


def _target_columns(label: Floats, task: str, classes: int) -> Floats:
    if task == "multiclass":
        return np.asarray(np.eye(classes)[label.astype(np.intp)])
    if task == "regression":
        low = np.quantile(label, _LABEL_TAIL, method="higher")
        high = np.quantile(label, 1.0 - _LABEL_TAIL, method="lower")
        return np.clip(label, low, high)[:, None]
    return label[:, None]


def _correlations(rows: FoldRows, targets: Floats) -> Floats:
    """Correlation of each standardised feature with the label's rank; for classes the largest over them."""
    ranks = np.argsort(np.argsort(targets, axis=0, kind="stable"), axis=0, kind="stable").astype(np.float64)
    if len(np.unique(targets[:, 0])) <= 2:  # an indicator is its own rank
        ranks = targets
    centred = ranks - ranks.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))[None, :] * np.sqrt(np.diag(rows.gram))[:, None]
    raw = rows.train_z.T.astype(np.float64) @ centred
    found = np.divide(raw, scale, out=np.zeros_like(raw), where=scale > 0)
    return np.asarray(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])


def _moments(values: Float32s) -> tuple[Floats, Floats, Floats, Floats]:
    """Cut points, mean and spread of each column on at most about 20,000 rows, missing values aside."""
    stride = max(1, len(values) // _QUANTILE_ROWS)
    sample = np.sort(np.ascontiguousarray(values[::stride].T), axis=1)  # (features, rows), NaN last
    present = np.isfinite(sample)
    counts = present.sum(axis=1)
    places = np.arange(len(sample))
    last = np.maximum(counts - 1, 0)
    low = np.where(counts, sample[places, np.floor(_TAIL * last).astype(np.intp)], 0.0).astype(np.float64)
    high = np.where(counts, sample[places, np.ceil((1.0 - _TAIL) * last).astype(np.intp)], 0.0).astype(
        np.float64
    )
    cut = np.where(present, np.clip(sample, low[:, None], high[:, None]), 0.0)
    size = np.maximum(counts, 1)
    mean = cut.sum(axis=1) / size
    spread = np.sqrt(np.where(present, (cut - mean[:, None]) ** 2, 0.0).sum(axis=1) / size)
    return low, high, mean, spread


def _standardised(values: Float32s, low: Floats, high: Floats, mean: Floats, spread: Floats) -> Float32s:
    scale = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1e-12), spread, np.inf)
    cut = (np.clip(values, low, high) - mean) / scale
    bounded = np.clip(cut, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return np.where(np.isfinite(bounded), bounded, 0.0).astype(np.float32)
