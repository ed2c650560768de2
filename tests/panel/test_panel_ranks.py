"""Ranks and standard errors against slow references."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from panel.ranks import (
    bandwidth,
    cross_scores,
    group_ranks,
    group_scores,
    mean_error,
    newey_west,
    rank_rows,
    t_quantile,
)

Float32s = npt.NDArray[np.float32]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), max_size=60))
def test_ranks_within_groups_equal_scipys(pairs: list[tuple[int, int]]) -> None:
    """Ties and all, in every group."""
    groups = np.array([group for group, _ in pairs], dtype=np.int64)
    values = np.array([value for _, value in pairs], dtype=np.float64)
    made = group_ranks(values, groups)
    for group in set(groups.tolist()):
        own = groups == group
        assert np.array_equal(made[own], stats.rankdata(values[own]))


def test_scores_have_mean_zero_and_variance_one_in_each_group() -> None:
    """A group without variation scores exact zeros."""
    rng = np.random.default_rng(0)
    groups = np.repeat([7, 3, 9], [50, 30, 20])
    values = np.where(groups == 9, 0.1, rng.normal(size=100))
    made = group_scores(values, groups)
    for group in (7, 3):
        assert made[groups == group].mean() == pytest.approx(0.0, abs=1e-12)
        assert made[groups == group].std() == pytest.approx(1.0)
    assert (made[groups == 9] == 0.0).all()


def slow_scores(values: Float32s, fewest: int) -> Float32s:
    """Ranks of one series among its finite values, brought to mean 0 and variance 1; 0 for missing ones."""
    found = np.zeros(len(values))
    there = np.isfinite(values)
    if there.sum() >= fewest:
        ranks = stats.rankdata(values[there])
        if ranks.std() > 0:
            found[there] = (ranks - ranks.mean()) / ranks.std()
    return found.astype(np.float32)


# Few values make ties, halves keep them exact, NaN is missing.
VALUES = st.one_of(st.just(math.nan), st.integers(-4, 4).map(lambda whole: whole / 2))


def grids(dims: int) -> st.SearchStrategy[Float32s]:
    """Small grids with ties and holes."""
    shapes = array_shapes(min_dims=dims, max_dims=dims, max_side=6)
    return shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=VALUES))


@settings(max_examples=60, deadline=None)
@given(values=grids(2))
def test_ranks_along_rows_equal_scipys(values: Float32s) -> None:
    """Ties share their mean rank, missing values take no part and score 0, as do rows of one value."""
    expected = np.stack([slow_scores(row, 2) for row in values])
    np.testing.assert_allclose(rank_rows(values), expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(grid=grids(3), fewest=st.integers(1, 5))
def test_ranks_across_symbols_equal_scipys(grid: Float32s, fewest: int) -> None:
    """At every place of columns and time by itself; places with too few values or no variation score 0."""
    expected = np.zeros_like(grid)
    for column in range(grid.shape[1]):
        for time in range(grid.shape[2]):
            expected[:, column, time] = slow_scores(grid[:, column, time], fewest)
    np.testing.assert_allclose(cross_scores(grid, fewest), expected, atol=1e-5)


def test_many_symbols_are_ranked_alike() -> None:
    """With hundreds of symbols ranks are found by sorting, and equal scipy's as well."""
    rng = np.random.default_rng(5)
    grid = np.round(rng.normal(size=(300, 2, 12)), 1).astype(np.float32)
    grid[rng.random(grid.shape) < 0.2] = np.nan
    grid[:, 0, 3], grid[5:, 1, 7] = 0.5, np.nan
    expected = np.zeros_like(grid)
    for column in range(2):
        for time in range(12):
            expected[:, column, time] = slow_scores(grid[:, column, time], 6)
    np.testing.assert_allclose(cross_scores(grid, 6), expected, atol=1e-5)
    assert not expected[:, 0, 3].any()
    assert not expected[:, 1, 7].any()


def test_long_rows_keep_their_exact_middle() -> None:
    """Twenty thousand values, distinct or in runs, still have mean 0 and variance 1 in single precision."""
    rng = np.random.default_rng(3)
    values = np.stack([rng.normal(size=20_000), np.round(rng.normal(size=20_000), 1)]).astype(np.float32)
    scores = rank_rows(values).astype(np.float64)
    np.testing.assert_allclose(scores.mean(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(scores.var(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(scores[1], slow_scores(values[1], 2), atol=1e-5)


def test_mean_products_of_cross_scores_are_rank_correlations() -> None:
    """The mean product at a timestamp is Spearman's rank correlation there, ties and all."""
    rng = np.random.default_rng(4)
    one = np.round(rng.normal(size=(6, 40)), 1).astype(np.float32)
    two = np.round(rng.normal(size=(6, 40)), 1).astype(np.float32)
    products = (cross_scores(one, 3) * cross_scores(two, 3)).mean(axis=0)
    expected = [stats.spearmanr(one[:, time], two[:, time]).statistic for time in range(40)]
    np.testing.assert_allclose(products, expected, atol=1e-5)


def brute_newey_west(series: np.ndarray, lag: int) -> float:
    """The estimator written as its double sum over pairs of samples."""
    count = len(series)
    mean = sum(series) / count
    total = 0.0
    for one in range(count):
        for two in range(count):
            distance = abs(one - two)
            if distance <= lag:
                weight = 1.0 - distance / (lag + 1.0)
                total += weight * (series[one] - mean) * (series[two] - mean)
    return math.sqrt(total / count / (count - 1))


@settings(max_examples=40, deadline=None)
@given(
    series=st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=2, max_size=40),
    lag=st.integers(0, 50),
)
def test_newey_west_equals_its_definition(series: list[float], lag: int) -> None:
    """The fast sum over lags is the weighted sum over all pairs."""
    values = np.array(series)
    error, effective = newey_west(values, lag)
    assert error == pytest.approx(brute_newey_west(values, min(lag, len(series) + 50)), rel=1e-6, abs=1e-7)
    assert 1.0 <= effective <= len(series)


def test_without_lags_it_is_the_textbook_standard_error() -> None:
    """Independent samples need no correction."""
    values = np.random.default_rng(1).normal(size=200)
    error, effective = newey_west(values, 0)
    assert error == pytest.approx(values.std(ddof=1) / math.sqrt(200))
    assert effective == 200


def test_overlap_is_paid_for() -> None:
    """Sums over 10 bars are worth about a tenth of their number."""
    noise = np.random.default_rng(2).normal(size=5_009)
    overlapping = np.convolve(noise, np.ones(10), mode="valid")
    error, effective = mean_error(overlapping, 10)
    truth = 10.0 / math.sqrt(5_000)
    assert truth * 0.8 < error < truth * 1.25
    assert 300 < effective < 800


def test_short_and_constant_series_have_defined_errors() -> None:
    """Nothing is divided by zero."""
    assert newey_west(np.array([3.0]), 4)[1] == 1.0
    assert math.isnan(newey_west(np.array([3.0]), 4)[0])
    assert newey_west(np.full(9, 0.25), 3) == (0.0, 9.0)


@pytest.mark.parametrize(
    ("count", "horizon", "lags"), [(1000, 1, 6), (1000, 5, 20), (1000, 60, 240), (300, 60, 100), (2, 5, 0)]
)
def test_the_bandwidth_covers_the_overlap(count: int, horizon: int, lags: int) -> None:
    """Four horizons, at least the automatic rule, at most a third of the samples."""
    assert bandwidth(count, horizon) == lags


@pytest.mark.parametrize("degrees", [3, 5, 10, 30, 300])
def test_t_quantiles_equal_scipys_within_a_percent(degrees: int) -> None:
    """The series is good enough for intervals without scipy."""
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=0.01)
