"""How well predicted quantiles foretell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from executors.distributions import Quantiles, distribution_report, pinball, pooled_mean

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
ROWS = 6_000
TIMES = np.repeat(np.arange(ROWS // 6), 6)


def normal_case(spread: float, *, levels: tuple[float, ...] = LEVELS) -> dict[str, Any]:
    """The report of normal quantiles of that spread for labels of spread 1 around a known mean."""
    random = np.random.default_rng(1)
    mean = random.standard_normal(ROWS)
    labels = (mean + random.standard_normal(ROWS)).astype(np.float32)
    values = (mean[:, None] + spread * norm.ppf(levels)).astype(np.float32)
    training = (random.standard_normal(ROWS) * np.sqrt(2)).astype(np.float32)
    quantiles = Quantiles(levels=levels, values=values)
    return distribution_report(quantiles, labels, training, TIMES, horizon_bars=1)


def test_true_quantiles_cover_what_they_say() -> None:
    """Each level within three of its own errors; the interval between the outer ones holds 90 %."""
    found = normal_case(1.0)
    for level, share, error in zip(LEVELS, found["coverage"], found["coverage_standard_error"], strict=True):
        assert abs(share - level) < 3 * error
        assert error == pytest.approx(np.sqrt(level * (1 - level) / ROWS), rel=0.25)
    widest, inner = found["intervals"]
    assert (widest["low"], widest["high"], widest["nominal"]) == (0.05, 0.95, pytest.approx(0.9))
    assert widest["coverage"] == pytest.approx(0.9, abs=0.015)
    assert widest["mean_width"] == pytest.approx(2 * norm.ppf(0.95), rel=1e-5)
    assert (inner["low"], inner["high"]) == (0.25, 0.75)
    assert found["crossings"] == 0
    assert found["pinball_reduction"] > 0.2


@pytest.mark.parametrize(("spread", "is_too_narrow"), [(0.5, True), (2.0, False)])
def test_too_narrow_and_too_wide_show(spread: float, is_too_narrow: bool) -> None:
    """The interval holds too few or too many labels, and the loss is above that of the true spread."""
    found = normal_case(spread)
    assert (found["intervals"][0]["coverage"] < 0.87) == is_too_narrow
    assert (found["intervals"][0]["coverage"] > 0.93) != is_too_narrow
    assert found["mean_pinball"] > normal_case(1.0)["mean_pinball"]


def test_with_many_levels_the_crps_is_that_of_the_normal_law() -> None:
    """Of a true standard normal forecast it is 1 / sqrt(pi) on average (Gneiting and Raftery, 2007)."""
    levels = tuple(np.arange(1, 200) / 200)
    assert normal_case(1.0, levels=levels)["crps"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)


def test_the_pinball_loss_is_the_textbook_s() -> None:
    """Level x miss where the label is above, (1 - level) x miss where it is below."""
    losses = pinball(np.array([[1.0, 3.0]]), np.array([2.0]), np.array([0.1, 0.9]))
    assert losses.tolist() == pytest.approx([0.1, 0.1])


def test_crossing_rows_are_counted_and_rows_without_numbers_left_out() -> None:
    """Three rows: one good, one that falls, one unknown."""
    values = np.array([[0.0, 1.0], [1.0, 0.0], [np.nan, 1.0]], dtype=np.float32)
    quantiles = Quantiles(levels=(0.25, 0.75), values=values)
    labels = np.zeros(3, dtype=np.float32)
    found = distribution_report(quantiles, labels, labels, np.arange(3), horizon_bars=1)
    assert (found["rows"], found["crossings"]) == (2, 1)
    unknown = Quantiles(levels=(0.25, 0.75), values=values[2:])
    assert distribution_report(unknown, labels[2:], labels, np.arange(1), horizon_bars=1) == {}


def test_rows_of_one_moment_count_as_one() -> None:
    """Six copies of each row make the error of the mean no smaller."""
    values = np.random.default_rng(2).standard_normal(500)
    _, error, low, high = pooled_mean(values, np.arange(500), 1)
    _, of_copies, _, _ = pooled_mean(np.repeat(values, 6), np.repeat(np.arange(500), 6), 1)
    assert of_copies == pytest.approx(error)
    assert low < values.mean() < high
    assert pooled_mean(values[:1], np.zeros(1), 1)[1] == np.inf
