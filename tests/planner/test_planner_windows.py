"""Single bars out of labels, the columns made of them, and the noise that their overlap leaves."""

from __future__ import annotations

import numpy as np
import pytest
from planner_samples import ahead

from planner.matches import Footing, Matches, lag_products, match, widening
from planner.windows import bar_changes, clipped, label_columns, layout_of, without_calendar


def _shocks(rows: int = 1_200, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(5, rows)


@pytest.mark.parametrize("horizon", [1, 2, 7, 30])
def test_a_label_that_is_a_sum_gives_back_its_bars(horizon: int) -> None:
    """Every bar, but for the mean of each residue of its number."""
    shocks = _shocks()
    bars = bar_changes(ahead(shocks, horizon), horizon)
    assert bars is not None
    known = np.isfinite(bars)
    assert known.sum() >= len(shocks) - 2 * horizon
    assert np.corrcoef(bars[known], shocks[known])[0, 1] > 1.0 - 1.2 * horizon / len(shocks)


def test_labels_of_simple_returns_are_sums_of_logarithms() -> None:
    """Five per cent a bar over ten bars: the bars come back all the same."""
    shocks = 0.05 * np.random.default_rng(2).standard_normal(1_500)
    bars = bar_changes(np.expm1(ahead(shocks, 10)), 10)
    assert bars is not None
    known = np.isfinite(bars)
    assert np.corrcoef(bars[known], shocks[known])[0, 1] > 0.99


def test_wrong_and_missing_labels_spoil_only_their_neighbours() -> None:
    """A label a hundred times too large, and some that are not there."""
    shocks = _shocks()
    label = ahead(shocks, 6)
    label[500] = 400.0
    label[[100, 101, 700]] = np.nan
    bars = bar_changes(label, 6)
    assert bars is not None
    known = np.isfinite(bars)
    assert known.mean() > 0.9
    assert np.corrcoef(bars[known], shocks[known])[0, 1] > 0.97


@pytest.mark.parametrize("shape", ["largest", "size", "sign", "constant", "short"])
def test_a_label_that_is_no_sum_is_known_for_it(shape: str) -> None:
    """The largest move, the size and the sign of a sum, nothing at all, and too little to tell."""
    shocks = _shocks()
    labels = {
        "largest": np.max([ahead(np.abs(shocks), bars) for bars in range(1, 6)], axis=0) ** 0.5,
        "size": np.abs(ahead(shocks, 5)),
        "sign": np.sign(ahead(shocks, 5)),
        "constant": np.ones(len(shocks)),
        "short": ahead(shocks, 5)[:30],
    }
    assert bar_changes(labels[shape], 5) is None


def test_the_columns_of_a_label_say_what_they_are_called() -> None:
    """Bars ahead, sums before, after and beyond, the label moved, windows over: row by row."""
    shocks = _shocks(400)
    label = ahead(shocks, 4).astype(np.float32)
    layout = layout_of(4, additive=True)
    bars = clipped(shocks)
    columns = label_columns(label, bars, layout, np.zeros(400, dtype=np.int64))
    assert columns.shape == (layout.width, 400)
    part = layout.parts.index(4)
    sums = {row: bars[row - 3 : row + 1].sum() for row in (100, 104, 108)}
    behind, coming, beyond = (
        group.start + part
        for group in (layout.part_past_columns, layout.part_columns, layout.part_beyond_columns)
    )
    for rows, place in (((100, 104), behind), ((96, 100), coming), ((92, 96), beyond)):
        spread = float(np.nanstd([bars[row - 3 : row + 1].sum() for row in range(3, 400)]))
        assert columns[place, rows[1]] - columns[place, rows[0]] == pytest.approx(
            (sums[104] - sums[100]) / spread, rel=0.05
        )
    shift = layout.shift_columns.start + layout.shifts.index(2)
    assert columns[shift, 50] == pytest.approx(columns[layout.LABEL, 48], rel=0.02, abs=0.02)
    assert columns[layout.past_columns.start, 50] == pytest.approx(
        columns[layout.NEWS, 46], rel=0.02, abs=0.02
    )
    assert np.isnan(columns[coming, -1])
    known = columns[np.isfinite(columns).any(axis=1)]
    assert np.nanmean(known, axis=1) == pytest.approx(0.0, abs=1e-4)
    assert np.nanstd(known, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_the_calendar_goes_out_of_a_label_and_nothing_else() -> None:
    """Each slot's mean, over the values that are there."""
    slots = np.array([0, 1, 0, 1, 0])
    label = np.array([1.0, 10.0, 3.0, np.nan, 5.0])
    assert without_calendar(label, slots).tolist()[:3] == [-2.0, 0.0, 0.0]
    assert np.isnan(without_calendar(label, slots)[3])


@pytest.mark.parametrize(("memory", "window", "expected"), [(0.0, 50, 1.0), (0.9, 1, 1.0), (0.9, 60, 16.0)])
def test_overlap_and_slowness_together_cost_independent_rows(
    memory: float, window: int, expected: float
) -> None:
    """White features or single bars lose none; else 1 + 2 sum of r^k (1 - k / m), from the powers of two."""
    lags = (1, 2, 4, 8, 16, 32, 64)
    dependence = np.array([[memory**lag for lag in lags]])
    assert widening(dependence, lags, window)[0] == pytest.approx(expected, rel=0.05)
    assert Footing(600, dependence, lags).rows(window)[0] == pytest.approx(600 / expected, rel=0.05)


def test_lag_products_are_autocorrelations() -> None:
    """Of a feature that keeps 0.8 of itself each row."""
    rng = np.random.default_rng(4)
    values = np.zeros((1, 4_000))
    for row in range(1, 4_000):
        values[0, row] = 0.8 * values[0, row - 1] + 0.6 * rng.standard_normal()
    found = lag_products(values.astype(np.float32), (1, 4, 4_096))
    assert found[0] == pytest.approx([0.8, 0.41, 0.0], abs=0.06)


def test_matches_are_correlations_over_the_common_rows_of_each_span() -> None:
    """Whatever the levels between spans, holes and all; a column without variation matches nothing."""
    rng = np.random.default_rng(6)
    level = np.repeat([0.0, 5.0], 200)
    feature, column = rng.standard_normal(400) + level, rng.standard_normal(400) - level
    column += 0.5 * feature
    scores = np.stack([feature, feature]).astype(np.float32)
    present = np.ones((2, 400), dtype=bool)
    present[1, 50:120] = False
    scores[~present] = 0.0
    columns = np.stack([column, np.ones(400)]).astype(np.float32)
    columns[0, 300:310] = np.nan
    found = match(scores, present, columns, [0, 200, 400])
    rows = np.r_[0:50, 120:200]
    expected = np.corrcoef(feature[rows], column[rows])[0, 1]
    whole = np.corrcoef(feature[:200], column[:200])[0, 1]
    assert found.correlations(0)[0, 0] == pytest.approx(whole, abs=1e-5)
    assert found.correlations(0)[1, 0] == pytest.approx(expected, abs=0.03)  # spreads are of each alone
    assert found.counts[:, :, 0].tolist() == [[200, 130], [190, 190]]
    assert not found.correlations()[:, 1].any()
    doubled: Matches = found + found
    assert doubled.correlations() == pytest.approx(found.correlations())
    assert np.abs(found.correlations()).max() < 0.9
