"""Ranks and standard errors against slow references."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from panel.ranks import bandwidth, group_ranks, group_scores, mean_error, newey_west, t_quantile


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
