"""Scores: right values, honest errors, exact zeros for no skill."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import panel_cases as cases
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from panel.errors import BadPrediction
from panel.metrics import (
    Score,
    error_reduction,
    no_skill,
    persistence,
    rank_ic,
    rank_ic_score,
    score,
    score_difference,
    skill,
    symbols_needed,
)

Floats = npt.NDArray[np.float64]


def grid(symbols: int, times: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Time and symbol codes of a full panel, symbol by symbol."""
    return np.tile(np.arange(times), symbols), np.repeat(np.arange(symbols), times)


def scored(prediction: Floats, label: Floats, symbols: int, times: int, **options: Any) -> Score:
    """Score on a full grid, regression across symbols with a horizon of 1 unless said otherwise."""
    codes, owners = grid(symbols, times)
    chosen = {"task": "regression", "view": "CROSS_SECTIONAL", "horizon_bars": 1, **options}
    return score(prediction, label, codes, owners, **chosen)


def test_rank_ic_is_spearman_at_each_timestamp() -> None:
    """Timestamp by timestamp equal to scipy, ties included; the score is their mean."""
    rng = np.random.default_rng(0)
    prediction = np.round(rng.normal(size=6 * 40), 1)
    label = prediction + rng.normal(size=6 * 40)
    codes, _ = grid(6, 40)
    times, values = rank_ic(prediction, label, codes, 3)
    expected = [stats.spearmanr(prediction[codes == t], label[codes == t]).statistic for t in range(40)]
    assert np.array_equal(times, np.arange(40))
    assert values == pytest.approx(expected)
    made = scored(prediction, label, 6, 40)
    assert made.metric == "rank_ic"
    assert made.n == 40
    assert made.value == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("horizon_bars", [1, 5])
def test_a_series_of_rank_ics_scores_like_its_rows(horizon_bars: int) -> None:
    """Value, error, interval and what the samples are worth are those of the rows it came from."""
    rng = np.random.default_rng(1)
    prediction = rng.normal(size=6 * 90)
    label = 0.3 * prediction + rng.normal(size=6 * 90)
    _, values = rank_ic(prediction, label, grid(6, 90)[0], 3)
    made = rank_ic_score(values, horizon_bars=horizon_bars)
    assert made == scored(prediction, label, 6, 90, horizon_bars=horizon_bars)
    assert made.low < made.value < made.high


def test_no_rank_ic_at_all_is_no_skill() -> None:
    """An empty series has the value 0 and no samples."""
    made = rank_ic_score(np.empty(0), horizon_bars=1)
    assert (made.value, made.n, made.metric) == (0.0, 0, "rank_ic")
    assert made.low <= 0.0 <= made.high


def test_thin_timestamps_and_single_labels_do_not_count() -> None:
    """A timestamp needs enough symbols and more than one label; missing values thin it."""
    codes, _ = grid(4, 3)
    prediction = np.random.default_rng(1).normal(size=12)
    label = np.random.default_rng(2).normal(size=12)
    label[codes == 1] = 0.5
    prediction[(codes == 2).nonzero()[0][:2]] = np.nan
    times, values = rank_ic(prediction, label, codes, 3)
    assert times.tolist() == [0]
    assert len(values) == 1


@pytest.mark.parametrize(
    ("task", "view", "symbols", "metric"),
    [
        ("regression", "CROSS_SECTIONAL", 5, "rank_ic"),
        ("regression", "CROSS_SECTIONAL", 2, "rank_corr_pooled"),
        ("regression", "SYMBOL_SPECIFIC", 1, "rank_corr"),
        ("binary", "CROSS_SECTIONAL", 5, "auc"),
        ("binary", "SYMBOL_SPECIFIC", 1, "auc"),
        ("multiclass", "CROSS_SECTIONAL", 3, "auc_ovr"),
    ],
)
def test_a_constant_prediction_has_exactly_no_skill(task: str, view: str, symbols: int, metric: str) -> None:
    """No rounding makes skill out of nothing, and the interval says nothing is known."""
    rows = symbols * 50
    rng = np.random.default_rng(3)
    label = rng.normal(size=rows) if task == "regression" else rng.integers(0, 3, rows).astype(float)
    label = np.minimum(label, 1.0) if task == "binary" else label
    prediction = np.full((rows, 3) if task == "multiclass" else rows, 1.0 / 3.0)
    made = scored(prediction, label, symbols, 50, task=task, view=view)
    assert made.metric == metric
    assert made.value == no_skill(metric)
    assert skill(made.value, metric) == 0.0
    assert (made.standard_error, made.high, made.n_effective) == (1.0, 1.0, 0.0)


def test_rank_corr_of_one_symbol_is_spearman_over_time() -> None:
    """SYMBOL_SPECIFIC regression over a single symbol equals scipy."""
    rng = np.random.default_rng(4)
    prediction = rng.normal(size=300)
    label = 0.5 * prediction + rng.normal(size=300)
    made = scored(prediction, label, 1, 300, view="SYMBOL_SPECIFIC")
    assert made.value == pytest.approx(stats.spearmanr(prediction, label).statistic)
    assert made.standard_error == pytest.approx((1 - made.value**2) / math.sqrt(300), rel=0.25)
    assert made.low < made.value < made.high


def test_pooled_rank_correlation_ignores_levels_between_symbols() -> None:
    """Two symbols with different levels and no skill within either score near 0, not near 1."""
    rng = np.random.default_rng(5)
    level = np.repeat([0.0, 100.0], 400)
    made = scored(level + rng.normal(size=800), level + rng.normal(size=800), 2, 400)
    assert made.metric == "rank_corr_pooled"
    assert abs(made.value) < 0.15


def test_auc_equals_sklearns() -> None:
    """Binary and one-against-rest, with ties and unusual label values."""
    rng = np.random.default_rng(6)
    label = rng.integers(0, 2, 400).astype(float)
    prediction = np.round(label * 0.5 + rng.normal(size=400), 1)
    assert scored(prediction, label, 4, 100, task="binary").value == pytest.approx(
        roc_auc_score(label, prediction)
    )
    signed = scored(prediction, np.where(label > 0, 1.0, -1.0), 4, 100, task="binary")
    assert signed.value == pytest.approx(roc_auc_score(label, prediction))
    classes = rng.integers(0, 3, 400)
    probabilities = rng.dirichlet(np.ones(3), 400) + np.eye(3)[classes] * 0.2
    made = scored(probabilities, classes.astype(float), 4, 100, task="multiclass")
    each = [roc_auc_score(classes == place, probabilities[:, place]) for place in range(3)]
    assert made.value == pytest.approx(np.mean(each))


def test_the_error_of_an_auc_is_delongs_on_independent_rows() -> None:
    """Without dependence the standard error is the spread over repeated samples."""
    rng = np.random.default_rng(7)
    values, errors = [], []
    for _ in range(150):
        label = rng.integers(0, 2, 300).astype(float)
        made = scored(0.7 * label + rng.normal(size=300), label, 1, 300, task="binary")
        values.append(made.value)
        errors.append(made.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_intervals_hold_for_overlapping_labels() -> None:
    """Noise against overlapping labels: the interval holds 0 about as often as it says."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(100):
        shocks = rng.normal(size=(6, 409)) + rng.normal(size=(1, 409))
        label = np.stack([np.convolve(own, np.ones(10), mode="valid") for own in shocks])
        slow = np.cumsum(rng.normal(size=(6, 400)), axis=1) * 0.1 + rng.normal(size=(6, 400))
        made = scored(slow.ravel(), label.ravel(), 6, 400, horizon_bars=10)
        held += made.low <= 0.0 <= made.high
    assert held >= 85


def test_symbols_that_move_together_count_once() -> None:
    """Ten copies of one symbol are no more certain than the one."""
    rng = np.random.default_rng(9)
    label, prediction = rng.integers(0, 2, 500).astype(float), rng.normal(size=500)
    one = scored(prediction, label, 1, 500, task="binary")
    ten = scored(np.tile(prediction, 10), np.tile(label, 10), 10, 500, task="binary")
    assert ten.value == pytest.approx(one.value)
    assert ten.standard_error == pytest.approx(one.standard_error, rel=1e-6)


def test_missing_rows_are_ignored() -> None:
    """NaN labels and predictions change nothing but the count."""
    rng = np.random.default_rng(10)
    prediction, label = rng.normal(size=400), rng.normal(size=400)
    codes, owners = grid(1, 400)
    options = {"task": "regression", "view": "SYMBOL_SPECIFIC", "horizon_bars": 2}
    keep = rng.uniform(size=400) > 0.3
    gone = np.where(keep, label, np.nan)
    with_gaps = score(prediction, gone, codes, owners, **options)
    without = score(prediction[keep], label[keep], codes[keep], owners[keep], **options)
    assert with_gaps == without
    assert with_gaps.n == keep.sum()


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_nothing_to_score_is_no_skill_with_no_knowledge(task: str) -> None:
    """Empty input and one single class give finite numbers and the whole range."""
    for rows in (0, 1, 30):
        prediction = np.zeros((rows, 3)) if task == "multiclass" else np.arange(rows, dtype=float)
        made = scored(prediction, np.zeros(rows), 1, rows, task=task, view="SYMBOL_SPECIFIC")
        assert made.n_effective == 0.0
        assert made.high - made.low >= 1.0


@pytest.mark.parametrize(
    ("prediction", "task", "message"),
    [
        (np.zeros((10, 2)), "regression", "1 dimensions"),
        (np.zeros(10), "multiclass", "2 dimensions"),
        (np.zeros(9), "binary", "9, 10, 10, 10"),
        (np.zeros(10), "ranking", "none of regression"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(prediction: Floats, task: str, message: str) -> None:
    """A silent broadcast would score nonsense."""
    with pytest.raises(BadPrediction, match=message):
        scored(prediction, np.zeros(10), 1, 10, task=task)


@pytest.mark.parametrize(("symbols", "needed"), [(3, 3), (5, 3), (8, 4), (20, 10), (500, 10)])
def test_symbols_needed_grow_with_the_panel(symbols: int, needed: int) -> None:
    """Half of the symbols, between 3 and 10."""
    assert symbols_needed(symbols) == needed


def test_error_reduction_is_out_of_sample_r_squared() -> None:
    """1 for the truth, 0 for the baseline itself, negative for worse."""
    label = np.array([1.0, 2.0, 4.0, np.nan])
    assert error_reduction(label, label, 2.0) == 1.0
    assert error_reduction(np.full(4, 2.0), label, 2.0) == 0.0
    assert error_reduction(np.full(4, 9.0), label, 2.0) < 0.0
    assert error_reduction(label, np.full(4, np.nan), 0.0) == 0.0


def test_error_reduction_of_classes_is_in_log_loss() -> None:
    """Sure and right is 1, the prior itself 0, for two classes and for more."""
    label = np.array([0.0, 1.0, 1.0, 0.0])
    assert error_reduction(label, label, 0.5, task="binary") == pytest.approx(1.0)
    assert error_reduction(np.full(4, 0.5), label, 0.5, task="binary") == 0.0
    three = np.array([0.0, 1.0, 2.0])
    prior = np.full(3, 1.0 / 3.0)
    assert error_reduction(np.eye(3), three, prior, task="multiclass") == pytest.approx(1.0)
    assert error_reduction(np.tile(prior, (3, 1)), three, prior, task="multiclass") == 0.0


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_test_part_of_one_class_is_judged_by_that_class(value: float) -> None:
    """All ups predicted as ups is right, all downs predicted as ups is wrong."""
    label, sure_of_up = np.full(20, value), np.full(20, 0.9)
    gained = error_reduction(sure_of_up, label, 0.5, task="binary")
    assert (gained > 0.0) == (value > 0.0)


def test_labels_that_are_no_column_indices_are_refused() -> None:
    """-1 would silently be the last column."""
    label, probabilities = np.array([-1.0, 0.0, 1.0]), np.full((3, 3), 1.0 / 3.0)
    with pytest.raises(BadPrediction, match="0 to 2"):
        scored(probabilities, label, 3, 1, task="multiclass")
    with pytest.raises(BadPrediction, match="0 to 2"):
        error_reduction(probabilities, label, np.full(3, 1.0 / 3.0), task="multiclass")


def test_persistence_is_the_newest_complete_label(tmp_path: Path) -> None:
    """At bar t the label of t - h, of the same symbol; nothing before that exists."""
    panel = cases.listed_panel([(0, 150), (20, 130)], tmp_path)
    known, values = persistence(panel, "fwd_ret_1d", 5), panel.values("fwd_ret_1d")
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        assert np.isnan(known[own][:5]).all()
        assert cases.same_bits(known[own][5:], values[own][:-5])


def _two_forecasts(
    rng: np.random.Generator, gap: float, days: int = 600, symbols: int = 5
) -> tuple[Any, ...]:
    """A label, a good forecast of it and the same one worsened, on common dates; gap 0: equally good."""
    rows = days * symbols
    label = rng.standard_normal(rows)
    shared = 0.4 * label + rng.standard_normal(rows)
    better = shared + 0.3 * rng.standard_normal(rows)
    worse = (1.0 - gap) * shared + 0.3 * rng.standard_normal(rows)
    return label, better, worse, np.repeat(np.arange(days), symbols), np.tile(np.arange(symbols), days)


@pytest.mark.parametrize("view", ["CROSS_SECTIONAL", "SYMBOL_SPECIFIC"])
def test_the_difference_is_that_of_the_scores_with_a_smaller_error(view: str) -> None:
    """Two forecasts that share most of their errors are told apart better than their own errors suggest."""
    label, better, worse, times, symbols = _two_forecasts(np.random.default_rng(3), gap=0.5)
    options: dict[str, Any] = {"task": "regression", "view": view, "horizon_bars": 1}
    one, two = (score(given, label, times, symbols, **options) for given in (better, worse))
    ahead = score_difference(better, worse, label, times, symbols, **options)
    assert ahead.value == pytest.approx(one.value - two.value)
    assert ahead.metric == f"{one.metric} ahead"
    assert ahead.standard_error < 0.8 * math.hypot(one.standard_error, two.standard_error)


def test_equal_forecasts_are_told_apart_only_at_the_rate_of_the_interval() -> None:
    """Of 200 pairs of equally good forecasts about 5 % seem different at 95 %."""
    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(200):
        label, one, two, times, symbols = _two_forecasts(rng, gap=0.0, days=250)
        ahead = score_difference(
            one, two, label, times, symbols, task="regression", view="CROSS_SECTIONAL", horizon_bars=1
        )
        seen += ahead.low > 0 or ahead.high < 0
    assert 2 <= seen <= 20


def test_a_binary_forecast_ahead_of_a_constant_one_is_ahead_by_its_skill() -> None:
    """A constant has no skill and no error of its own: the difference is the AUC above one half."""
    rng = np.random.default_rng(4)
    label, forecast = (rng.random(800) < 0.5).astype(float), rng.random(800)
    forecast = forecast + 0.4 * label
    times, symbols = np.arange(800), np.zeros(800, dtype=np.int64)
    options: dict[str, Any] = {"task": "binary", "view": "SYMBOL_SPECIFIC", "horizon_bars": 1}
    alone = score(forecast, label, times, symbols, **options)
    ahead = score_difference(forecast, np.zeros(800), label, times, symbols, **options)
    assert ahead.value == pytest.approx(alone.value - 0.5)
    assert ahead.standard_error == pytest.approx(alone.standard_error)


def test_rows_that_only_one_forecast_can_judge_are_left_out_for_both() -> None:
    """A sequence model has no word on its first rows; the other is not judged on them either."""
    label, better, worse, times, symbols = _two_forecasts(np.random.default_rng(5), gap=0.5)
    late = times >= 300
    options: dict[str, Any] = {"task": "regression", "view": "CROSS_SECTIONAL", "horizon_bars": 1}
    ahead = score_difference(np.where(late, better, np.nan), worse, label, times, symbols, **options)
    parts = (better[late], worse[late], label[late], times[late], symbols[late])
    assert ahead == score_difference(*parts, **options)
    assert ahead.n == 300


def test_two_forecasts_without_rows_are_not_told_apart() -> None:
    """Nothing to judge is no difference, with the widest interval."""
    nothing = np.zeros(0)
    ahead = score_difference(
        nothing, nothing, nothing, nothing, nothing, task="regression", view="CROSS_SECTIONAL", horizon_bars=1
    )
    assert (ahead.value, ahead.low, ahead.high, ahead.n_effective) == (0.0, -1.0, 1.0, 0.0)
