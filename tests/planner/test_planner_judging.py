"""The judge on the grid says what panel.metrics says row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from panel.metrics import CROSS_SECTIONAL, SYMBOL_SPECIFIC, Score, score, score_difference
from planner.judging import Judge
from planner.scores import CROSS, TIME

Float32s = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
BARS = 160
NUMBERS = ("value", "standard_error", "low", "high", "n_effective")


def _labels(symbols: int, *, ties: bool = False, missing: float = 0.1, seed: int = 1) -> Float32s:
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal((symbols, 1, BARS))
    if ties:
        raw = np.round(raw)
    raw[rng.random(raw.shape) < missing] = np.nan
    return raw.astype(np.float32)


def _prediction(labels: Float32s, strength: float = 0.5, *, ties: bool = False, seed: int = 2) -> Float32s:
    rng = np.random.default_rng(seed)
    made = strength * np.nan_to_num(labels) + rng.standard_normal(labels.shape)
    return (np.round(made) if ties else made).astype(np.float32)


def _mask(labels: Float32s, seed: int = 3) -> Mask:
    """Most bars of the later half, not the same for all symbols."""
    rng = np.random.default_rng(seed)
    mask = rng.random((len(labels), BARS)) < 0.9
    mask[:, : BARS // 2] = False
    return mask


def _rows(grid: Float32s, mask: Mask) -> npt.NDArray[np.floating]:
    symbols, times = np.nonzero(mask)
    return grid[symbols, :, times]


def _by_rows(judge: Judge, prediction: Float32s, mask: Mask, other: Float32s | None = None) -> Score:
    symbols, times = np.nonzero(mask)
    labels = _rows(judge.labels, mask)
    truth, predicted = labels[:, 0], _rows(prediction, mask)
    options: dict[str, Any] = {"task": judge.task, "view": judge.view, "horizon_bars": judge.horizon_bars}
    if judge.task == "multiclass":
        truth = np.where(np.isnan(labels).any(axis=1), np.nan, np.nan_to_num(labels).argmax(axis=1))
    else:
        predicted = predicted[:, 0]
    if other is None:
        return score(predicted, truth, times, symbols, **options)
    beside = _rows(other, mask)
    beside = beside if judge.task == "multiclass" else beside[:, 0]
    return score_difference(predicted, beside, truth, times, symbols, **options)


def _same(found: Score, wanted: Score) -> None:
    assert (found.metric, found.n) == (wanted.metric, wanted.n)
    for name in NUMBERS:
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("symbols", [3, 6, 25])
@pytest.mark.parametrize("horizon_bars", [1, 5])
def test_the_rank_ic_on_the_grid_is_that_of_the_rows(symbols: int, ties: bool, horizon_bars: int) -> None:
    """With missing labels, a mask that differs by symbol, equal labels and equal predictions."""
    labels = _labels(symbols, ties=ties)
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, horizon_bars, labels)
    prediction = _prediction(labels, ties=ties)
    mask = _mask(labels)
    found = judge.score(prediction, mask)
    assert found.metric == "rank_ic"
    assert found.value > 0.1
    _same(found, _by_rows(judge, prediction, mask))


def test_where_every_label_is_judged_the_ranks_are_taken_once() -> None:
    """A mask of whole bars needs no ranking anew, and gives the same."""
    labels = _labels(6, missing=0.1)
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels)
    prediction, mask = _prediction(labels), np.zeros((6, BARS), dtype=bool)
    mask[:, 90:] = True
    _same(judge.score(prediction, mask), _by_rows(judge, prediction, mask))


def test_missing_predictions_are_left_out() -> None:
    """A symbol without a prediction takes no part at that bar, not even in the ranks of the others."""
    labels = _labels(6)
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels)
    prediction, mask = _prediction(labels), _mask(labels)
    prediction[1, 0, 100:130] = np.nan
    prediction[4, 0] = np.nan
    _same(judge.score(prediction, mask), _by_rows(judge, prediction, mask))


def test_symbols_that_never_take_part_ask_for_no_company() -> None:
    """How many symbols a bar needs is half of those judged, not of those that exist."""
    labels = _labels(9, missing=0.35)
    labels[5:] = np.nan
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels)
    prediction, mask = _prediction(labels), np.zeros((9, BARS), dtype=bool)
    mask[:, 60:] = True
    _same(judge.score(prediction, mask), _by_rows(judge, prediction, mask))


def test_a_bar_of_too_few_symbols_does_not_count() -> None:
    """Of twelve symbols six must be there: bars with fewer are left out."""
    labels = _labels(12, missing=0.55)
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels)
    prediction, mask = _prediction(labels), np.ones((12, BARS), dtype=bool)
    found = judge.score(prediction, mask)
    assert 20 < found.n < BARS - 20
    assert found.n == int((np.isfinite(labels[:, 0]).sum(axis=0) >= 6).sum())
    _same(found, _by_rows(judge, prediction, mask))


def test_a_constant_prediction_has_no_skill() -> None:
    """Bars where all predictions are equal count as exactly 0; where all are, nothing is scored."""
    labels = _labels(5)
    judge = Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels)
    mask = _mask(labels)
    flat = np.ones_like(labels)
    _same(judge.score(flat, mask), _by_rows(judge, flat, mask))
    half = _prediction(labels)
    half[:, 0, ::2] = 3.0
    _same(judge.score(half, mask), _by_rows(judge, half, mask))


def test_an_empty_mask_is_no_skill() -> None:
    """Nothing to judge: the value of no skill, without a doubt removed."""
    labels = _labels(4)
    for judge in (
        Judge(CROSS, "regression", CROSS_SECTIONAL, 1, labels),
        Judge(TIME, "regression", SYMBOL_SPECIFIC, 1, labels),
    ):
        found = judge.score(_prediction(labels), np.zeros((4, BARS), dtype=bool))
        assert (found.value, found.standard_error, found.n_effective) == (0.0, 1.0, 0.0)


def _judge(metric: str) -> Judge:
    labels = _labels(4)
    known = np.isfinite(labels)
    if metric == "auc":
        upper = np.where(known, labels > 0.3, np.nan).astype(np.float32)
        return Judge(TIME, "binary", CROSS_SECTIONAL, 2, upper)
    if metric == "auc_ovr":
        place = np.digitize(np.nan_to_num(labels[:, 0]), [-0.5, 0.5])
        classes = np.stack([place == one for one in range(3)], axis=1)
        return Judge(
            TIME, "multiclass", CROSS_SECTIONAL, 2, np.where(known, classes, np.nan).astype(np.float32)
        )
    if metric == "rank_corr_pooled":
        return Judge(TIME, "regression", CROSS_SECTIONAL, 2, labels[:2])
    if metric == "rank_corr":
        return Judge(TIME, "regression", SYMBOL_SPECIFIC, 2, labels[:1])
    return Judge(CROSS, "regression", CROSS_SECTIONAL, 2, labels)


@pytest.mark.parametrize("metric", ["auc", "auc_ovr", "rank_corr", "rank_corr_pooled"])
def test_other_scores_are_those_of_the_rows(metric: str) -> None:
    """Classes, one symbol alone and two symbols go through panel.metrics as they lie."""
    judge = _judge(metric)
    prediction, mask = _prediction(judge.labels), _mask(judge.labels)
    found = judge.score(prediction, mask)
    assert found.metric == metric
    assert found.low > (0.5 if metric.startswith("auc") else 0.0)
    _same(found, _by_rows(judge, prediction, mask))


@pytest.mark.parametrize("metric", ["rank_ic", "auc", "auc_ovr", "rank_corr", "rank_corr_pooled"])
def test_how_far_ahead_is_the_paired_difference(metric: str) -> None:
    """Value and error of one prediction over another are those of score_difference."""
    judge = _judge(metric)
    mask = _mask(judge.labels)
    good, poor = _prediction(judge.labels, 0.8), _prediction(judge.labels, 0.3, seed=5)
    ahead, error = judge.ahead(good, poor, mask)
    wanted = _by_rows(judge, good, mask, poor)
    assert ahead == pytest.approx(wanted.value, rel=1e-4)
    assert error == pytest.approx(wanted.standard_error, rel=1e-4)
    assert ahead > error


def test_only_what_both_predict_is_compared() -> None:
    """A prediction that is missing somewhere is compared on the rest, at the same bars."""
    judge = _judge("rank_ic")
    mask = _mask(judge.labels)
    good, poor = _prediction(judge.labels, 0.8), _prediction(judge.labels, 0.3, seed=5)
    poor[:, 0, 100:120] = np.nan
    good[2, 0, 130:140] = np.nan
    ahead, error = judge.ahead(good, poor, mask)
    wanted = _by_rows(judge, good, mask, poor)
    assert (ahead, error) == pytest.approx((wanted.value, wanted.standard_error), rel=1e-4)


def test_nothing_in_common_is_no_lead() -> None:
    """Without a bar that both predict there is nothing to say."""
    judge = _judge("rank_ic")
    nothing = np.full_like(judge.labels, np.nan)
    assert judge.ahead(_prediction(judge.labels), nothing, _mask(judge.labels)) == (0.0, 1.0)
