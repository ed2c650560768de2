"""How good predictions are, with an honest error bar: rank IC, rank correlation, AUC.

Labels overlap and symbols move together, so rows are no independent samples. Every score is a mean of
influence values; these are summed per timestamp and the standard error of that series is Newey-West's
(Driscoll and Kraay 1998 for the pooled case). An interval is value ± t(effective n) · standard error.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Float32s, Panel
from panel.errors import BadPrediction
from panel.ranks import group_ranks, group_scores, mean_error, t_quantile

CROSS_SECTIONAL = "CROSS_SECTIONAL"
SYMBOL_SPECIFIC = "SYMBOL_SPECIFIC"
FEWEST_SYMBOLS = 3

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A measured skill and how sure it is.

    `n` counts timestamps for "rank_ic" and rows for all other metrics; `n_effective` is what they are
    worth as independent timestamps. `low` and `high` bound the 95 % interval. Where nothing can be
    scored (constant prediction, one class, too few rows) the value is that of no skill, the standard error
    1, the interval the whole range and `n_effective` 0. All numbers are finite.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int
    n_effective: float
    metric: str


def no_skill(metric: str) -> float:
    """The value a prediction without information gets: 0.5 for AUC metrics, else 0."""
    return 0.5 if metric.startswith("auc") else 0.0


def skill(value: float, metric: str) -> float:
    """How far a value lies above no skill, in the metric's own unit."""
    return value - no_skill(metric)


def symbols_needed(symbols: int) -> int:
    """Symbols a timestamp must have to count in a rank IC: half of them, at least 3, at most 10."""
    return min(10, max(FEWEST_SYMBOLS, math.ceil(symbols / 2)))


def rank_ic(prediction: Array, label: Array, time_codes: Array, min_symbols: int) -> tuple[Array, Floats]:
    """Spearman correlation across symbols at each timestamp: (time codes, values), both (timestamps,).

    Timestamps with fewer than `min_symbols` finite rows or with one single label are left out. A constant
    prediction at a timestamp counts as exactly 0.
    """
    keep = np.isfinite(prediction) & np.isfinite(label)
    codes, position = np.unique(time_codes[keep], return_inverse=True)
    position = position.reshape(-1)
    counts = np.bincount(position, minlength=len(codes))
    predicted = group_scores(prediction[keep], position)
    labelled = group_scores(label[keep], position)
    values = np.bincount(position, weights=predicted * labelled, minlength=len(codes)) / np.maximum(counts, 1)
    varied = np.bincount(position, weights=np.abs(labelled), minlength=len(codes)) > 0
    usable = (counts >= min_symbols) & varied
    return codes[usable], values[usable]


def score(
    prediction: npt.ArrayLike,
    label: npt.ArrayLike,
    time_codes: npt.ArrayLike,
    symbol_codes: npt.ArrayLike,
    *,
    task: str,
    view: str,
    horizon_bars: int,
) -> Score:
    """Score predictions against labels of the same rows; rows without a finite pair are ignored.

    Regression: `prediction` (rows,); CROSS_SECTIONAL gives "rank_ic", the mean over timestamps of the rank
    correlation across symbols, or "rank_corr_pooled" (ranks within each symbol) when fewer than 3 symbols
    exist; SYMBOL_SPECIFIC gives "rank_corr". Binary: `prediction` (rows,), any number that grows with the
    upper label, gives "auc". Multiclass: `prediction` (rows, classes), `label` the column index of the true
    class, gives "auc_ovr", the mean of the one-against-rest AUCs. A constant prediction scores exactly
    no_skill(metric).

    Raises:
        BadPrediction: the shapes do not fit each other or the task, or labels are no column indices.
    """
    rows = _rows(prediction, label, time_codes, symbol_codes, task)
    return _score_of(_measured(rows, task, view), horizon_bars)


def rank_ic_score(series: npt.NDArray[np.floating], *, horizon_bars: int) -> Score:
    """The score of a rank IC known timestamp by timestamp already; `series` (timestamps,), oldest first."""
    values = np.asarray(series, dtype=np.float64)
    value = float(values.mean()) if len(values) else 0.0
    return _from_series(value, values, len(values), horizon_bars, "rank_ic")


def score_difference(
    prediction: npt.ArrayLike,
    other: npt.ArrayLike,
    label: npt.ArrayLike,
    time_codes: npt.ArrayLike,
    symbol_codes: npt.ArrayLike,
    *,
    task: str,
    view: str,
    horizon_bars: int,
) -> Score:
    """How much better `prediction` scores than `other`, with the error of the paired difference.

    Both are judged on the rows that both can predict. The errors of two scores on the same rows move
    together, so the error of their difference comes from the difference of their samples, timestamp by
    timestamp, and not from the two errors as if they were independent. The metric is that of `score`
    followed by " ahead".

    Raises:
        BadPrediction: as `score`.
    """
    first = _rows(prediction, label, time_codes, symbol_codes, task)
    second = _rows(other, label, time_codes, symbol_codes, task)
    both = first.finite & second.finite
    one = _measured(first.among(both), task, view)
    two = _measured(second.among(both), task, view)
    codes = np.unique(np.concatenate([one.codes, two.codes]))
    series = one.sample_at(codes) - two.sample_at(codes)
    metric, ahead = f"{one.metric} ahead", one.value - two.value
    if len(series) < 2:
        return Score(
            value=ahead,
            standard_error=1.0,
            low=-1.0,
            high=1.0,
            n=one.count,
            n_effective=0.0,
            metric=metric,
        )
    error, effective = mean_error(series, horizon_bars)
    reach = t_quantile(effective - 1.0) * error
    return Score(
        value=ahead,
        standard_error=error,
        low=ahead - reach,
        high=ahead + reach,
        n=one.count,
        n_effective=effective,
        metric=metric,
    )


def error_reduction(
    prediction: npt.ArrayLike, label: npt.ArrayLike, baseline: npt.ArrayLike, *, task: str = "regression"
) -> float:
    """Share of the baseline's error that the prediction takes away: 1 perfect, 0 no better, below 0 worse.

    Regression: 1 - MSE / MSE of `baseline` (a number or (rows,)), the out-of-sample R². Binary: the same with
    log-loss of probabilities (rows,) of the upper class; multiclass: of (rows, classes) with `label` the
    column index and `baseline` (classes,) or (rows, classes). Rows without finite numbers are ignored; 0
    when nothing is left or the baseline makes no error.

    Raises:
        BadPrediction: multiclass labels are no column indices.
    """
    labels = np.asarray(label, dtype=np.float64)
    predicted = np.asarray(prediction, dtype=np.float64)
    standard = np.broadcast_to(np.asarray(baseline, dtype=np.float64), predicted.shape)
    totals = predicted + standard if predicted.ndim == 1 else (predicted + standard).sum(axis=1)
    keep = np.isfinite(labels) & np.isfinite(totals)
    labels, predicted, standard = labels[keep], predicted[keep], standard[keep]
    if not len(labels):
        return 0.0
    loss = float(np.mean(_losses(predicted, labels, task)))
    reference = float(np.mean(_losses(standard, labels, task)))
    return 1.0 - loss / reference if reference > 0.0 else 0.0


def persistence(panel: Panel, target: str, horizon_bars: int) -> Float32s:
    """The naive forecast: the newest label already complete at each row, (rows,) float32.

    That is the label of the same symbol `horizon_bars` bars ago, which ended at this bar; NaN before.

    Raises:
        UnknownColumn: no such target in the panel.
    """
    values = panel.values(target)
    known = np.full(panel.rows, np.nan, dtype=np.float32)
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        if own.start + horizon_bars < own.stop:
            known[own.start + horizon_bars : own.stop] = values[own.start : own.stop - horizon_bars]
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Predictions with their labels and places; `finite` marks the rows that can be judged."""

    predicted: Floats  # (rows,) or (rows, classes)
    labels: Floats  # (rows,)
    times: Array  # (rows,)
    symbols: Array  # (rows,)
    finite: npt.NDArray[np.bool_]  # (rows,)

    def among(self, keep: npt.NDArray[np.bool_]) -> "_Rows":
        """The rows that are kept, if they can be judged."""
        return replace(self, finite=self.finite & keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A value, and one sample a timestamp whose mean has the value's error; none where nothing is scored."""

    metric: str
    count: int
    value: float
    codes: Array  # (timestamps,)
    series: Floats  # (timestamps,)

    def sample_at(self, codes: Array) -> Floats:
        """The samples at these timestamps, around 0; where there is none the value is taken as certain."""
        found = np.zeros(len(codes))
        found[np.searchsorted(codes, self.codes)] = self.series - (
            self.series.mean() if len(self.series) else 0.0
        )
        return found


def _rows(
    prediction: npt.ArrayLike,
    label: npt.ArrayLike,
    time_codes: npt.ArrayLike,
    symbol_codes: npt.ArrayLike,
    task: str,
) -> _Rows:
    predicted = np.asarray(prediction, dtype=np.float64)
    labels = np.asarray(label, dtype=np.float64)
    times, symbols = np.asarray(time_codes), np.asarray(symbol_codes)
    _check_shapes(predicted, labels, times, symbols, task)
    finite = np.isfinite(labels) & np.isfinite(predicted if predicted.ndim == 1 else predicted.sum(axis=1))
    return _Rows(predicted=predicted, labels=labels, times=times, symbols=symbols, finite=finite)


def _measured(rows: _Rows, task: str, view: str) -> _Measured:
    """Measure the judged rows by the metric of the task and view."""
    keep = rows.finite
    predicted, labels, times = rows.predicted[keep], rows.labels[keep], rows.times[keep]
    if task == "regression":
        return _measure_regression(predicted, labels, times, rows.symbols[keep], view=view)
    if task == "binary":
        return _from_influence(_auc_influence(predicted, _upper(labels)), times, "auc")
    _refuse_foreign_classes(labels, predicted.shape[1])
    parts = [_auc_influence(predicted[:, place], labels == place) for place in range(predicted.shape[1])]
    present = [part for part in parts if part is not None]
    return _from_influence(np.mean(present, axis=0) if present else None, times, "auc_ovr")


def _score_of(found: _Measured, horizon_bars: int) -> Score:
    return _from_series(found.value, found.series, found.count, horizon_bars, found.metric)


def _check_shapes(predicted: Floats, labels: Floats, times: Array, symbols: Array, task: str) -> None:
    if task not in {"regression", "binary", "multiclass"}:
        raise BadPrediction(f"task {task!r} is none of regression, binary, multiclass")
    wanted = 2 if task == "multiclass" else 1
    if predicted.ndim != wanted:
        raise BadPrediction(f"a {task} prediction has {wanted} dimensions, not {predicted.ndim}")
    if not len(predicted) == len(labels) == len(times) == len(symbols):
        sizes = f"{len(predicted)}, {len(labels)}, {len(times)}, {len(symbols)}"
        raise BadPrediction(f"rows of prediction, label, time and symbol codes differ ({sizes})")


def _measure_regression(
    predicted: Floats, labels: Floats, times: Array, symbols: Array, *, view: str
) -> _Measured:
    count = len(np.unique(symbols))
    if view == CROSS_SECTIONAL and count >= FEWEST_SYMBOLS:
        codes, values = rank_ic(predicted, labels, times, symbols_needed(count))
        value = float(values.mean()) if len(values) else 0.0
        return _Measured(metric="rank_ic", count=len(values), value=value, codes=codes, series=values)
    metric = "rank_corr_pooled" if view == CROSS_SECTIONAL else "rank_corr"
    own = group_scores(predicted, symbols)
    true = group_scores(labels, symbols)
    products = own * true
    if not products.any():
        return _nothing(len(products), metric)
    # Influence of one row on a correlation of standardised scores: ab - r (a² + b²) / 2, around 0.
    value = float(products.mean())
    spread = products - value * (own**2 + true**2) / 2.0
    return _from_influence(spread - spread.mean() + value, times, metric)


def _upper(labels: Floats) -> npt.NDArray[np.bool_]:
    """Which labels are the upper one of two values; where only one value occurs, whether it is positive."""
    lowest, highest = (labels.min(), labels.max()) if len(labels) else (0.0, 0.0)
    return np.asarray(labels > ((lowest + highest) / 2.0 if lowest < highest else 0.0))


def _refuse_foreign_classes(labels: Floats, classes: int) -> None:
    if not np.isin(labels, np.arange(classes)).all():
        raise BadPrediction(f"multiclass labels must be column indices 0 to {classes - 1}")


def _auc_influence(predicted: Floats, positive: npt.NDArray[np.bool_]) -> Floats | None:
    """Values whose mean is the AUC and whose spread is its sampling error (DeLong 1988 placements)."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    ranks = group_ranks(predicted, np.zeros(len(predicted), dtype=np.int64))
    within = group_ranks(predicted, positive)
    placement = np.where(
        positive, (ranks - within) / negatives, 1.0 - (ranks - within) / positives
    )  # share of the other class on the right side
    auc = float(placement[positive].mean())
    weight = np.where(positive, len(positive) / positives, len(positive) / negatives)
    influence: Floats = auc + (placement - auc) * weight
    return influence


def _from_influence(influence: Floats | None, times: Array, metric: str) -> _Measured:
    """Measure from values per row: their mean, and their sums per timestamp."""
    if influence is None or not len(influence):
        return _nothing(len(times), metric)
    value = float(influence.mean())
    codes, position = np.unique(times, return_inverse=True)
    sums = np.bincount(position.reshape(-1), weights=influence - value, minlength=len(codes))
    series = np.asarray(sums * (len(codes) / len(times)), dtype=np.float64)
    return _Measured(metric=metric, count=len(times), value=value, codes=codes, series=series)


def _nothing(count: int, metric: str) -> _Measured:
    empty = np.zeros(0)
    return _Measured(metric=metric, count=count, value=no_skill(metric), codes=empty, series=empty)


def _from_series(value: float, series: Floats, count: int, horizon_bars: int, metric: str) -> Score:
    """Score from its value and the series, one sample a timestamp, whose mean's error is the value's."""
    if len(series) < 2:
        return _unscored(count, metric)
    error, effective = mean_error(series, horizon_bars)
    if error == 0.0 and value == no_skill(metric):
        return _unscored(count, metric)
    reach = t_quantile(effective - 1.0) * error
    lowest = 0.0 if metric.startswith("auc") else -1.0
    return Score(
        value=value,
        standard_error=error,
        low=max(lowest, value - reach),
        high=min(1.0, value + reach),
        n=count,
        n_effective=effective,
        metric=metric,
    )


def _unscored(count: int, metric: str) -> Score:
    lowest = 0.0 if metric.startswith("auc") else -1.0
    return Score(
        value=no_skill(metric),
        standard_error=1.0,
        low=lowest,
        high=1.0,
        n=count,
        n_effective=0.0,
        metric=metric,
    )


def _losses(predicted: Floats, labels: Floats, task: str) -> Floats:
    if task == "regression":
        return np.asarray((predicted - labels) ** 2)
    if task == "binary":
        of_truth = np.where(_upper(labels), predicted, 1.0 - predicted)
    else:
        _refuse_foreign_classes(labels, predicted.shape[1])
        of_truth = predicted[np.arange(len(labels)), labels.astype(np.int64)]
    return np.asarray(-np.log(np.clip(of_truth, 1e-15, 1.0)))
