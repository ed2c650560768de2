"""Scores: ranks freed of what never changes, labels that end in time, one axis for all symbols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planner_samples import target_column
from screen_samples import coming, grid_panel, sessions

from panel.aligned import Panel
from panel.ranks import rank_rows
from planner.scores import (
    CROSS,
    TIME,
    Axis,
    Channel,
    across,
    axis_of,
    channels_of,
    chunks,
    cross,
    folded,
    label_grid,
    over_time,
)

SYMBOLS, TIMES = 5, 300


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Five symbols of different levels with gaps, one listed late; labels of one and five bars, classes."""
    rng = np.random.default_rng(1)
    shape = (SYMBOLS, TIMES)
    bars = rng.random(shape) > 0.05
    bars[2, :100] = False
    bars[:, -1] = True
    level = np.arange(SYMBOLS)[:, None] * 2.0
    noise = rng.standard_normal(shape)
    columns = {
        "level": level + rng.standard_normal(shape),
        "holes": np.where(rng.random(shape) < 0.3, np.nan, rng.standard_normal(shape)),
        "y_five_5d": level + coming(noise, 5),
        "y_up_1d": (noise > 0).astype(np.float64),
        "y_third_1d": np.digitize(noise, [-0.5, 0.5]).astype(np.float64),
    }
    return grid_panel(columns, tmp_path_factory.mktemp("scores"), bars=bars)


@pytest.fixture(scope="module")
def axis(panel: Panel) -> Axis:
    """What is known before the last fifth."""
    return axis_of(panel, 240)


def _channel(target: str = "y_five_5d", horizon: int = 5, level: float | None = None) -> Channel:
    return Channel(target=target, horizon_bars=horizon, pooled=CROSS, level=level)


def test_the_axis_holds_each_bar_before_its_end_in_its_place(panel: Panel, axis: Axis) -> None:
    """A cell of the grid is the value of the symbol's row at that timestamp, else it is missing."""
    grid = axis.grid(["holes", "level"])
    assert grid.shape == (SYMBOLS, 2, 240)
    assert (axis.length, axis.slots) == (240, None)
    assert np.array_equal(np.isfinite(grid[:, 1]), axis.bars)
    times, owners, values = panel.time_codes, panel.symbol_codes, panel.values("level")
    early = times < 240
    assert early.sum() == axis.bars.sum()
    assert np.array_equal(grid[owners[early], 1, times[early]], values[early])
    assert np.array_equal(axis.on_grid(values), grid[:, 1], equal_nan=True)


def test_labels_whose_window_reaches_the_end_are_missing(panel: Panel, axis: Axis) -> None:
    """A label ends with its symbol's own bar so many ahead, however many timestamps that are."""
    made = label_grid(axis, [_channel()])[:, 0]
    values = panel.values("y_five_5d")
    for symbol, name in enumerate(panel.symbols):
        own = panel.rows_of(name)
        codes = panel.time_codes[own]
        expected = np.full(240, np.nan, dtype=np.float32)
        for place, code in enumerate(codes[:-5]):
            if codes[place + 5] < 240:
                expected[code] = values[own][place]
        assert np.array_equal(made[symbol], expected, equal_nan=True)
        last = np.flatnonzero(np.isfinite(made[symbol]))[-1]
        assert codes[np.flatnonzero(codes == last)[0] + 5] < 240
    assert np.isfinite(made).sum() > 900


def test_a_class_is_its_indicator(panel: Panel, axis: Axis) -> None:
    """One channel for each class of several, 1 where the label is that class; unknown labels stay unknown."""
    made = label_grid(axis, [_channel("y_third_1d", 1, level) for level in (0.0, 1.0, 2.0)])
    plain = label_grid(axis, [_channel("y_third_1d", 1)])[:, 0]
    known = np.isfinite(plain)
    assert np.array_equal(np.isfinite(made), np.repeat(known[:, None], 3, axis=1))
    assert np.array_equal(made.argmax(axis=1)[known], plain[known])
    assert np.array_equal(made.sum(axis=1)[known], np.ones(known.sum()))


def test_regression_is_pooled_across_symbols_and_classes_over_time(panel: Panel) -> None:
    """Three classes are three channels, two classes are one."""
    found = channels_of(panel, [panel.column(name) for name in ("y_five_5d", "y_up_1d", "y_third_1d")])
    assert [(one.target, one.pooled, one.level, one.horizon_bars) for one in found] == [
        ("y_five_5d", CROSS, None, 5),
        ("y_up_1d", TIME, None, 1),
        ("y_third_1d", TIME, 0.0, 1),
        ("y_third_1d", TIME, 1.0, 1),
        ("y_third_1d", TIME, 2.0, 1),
    ]


def test_with_two_symbols_there_are_no_ranks_across(tmp_path: Path) -> None:
    """Then regression is pooled over time as well."""
    rng = np.random.default_rng(2)
    small = grid_panel({"a": rng.normal(size=(2, 150)), "y_1d": rng.normal(size=(2, 150))}, tmp_path)
    assert [one.pooled for one in channels_of(small, [target_column("y_1d")])] == [TIME]


def test_features_are_measured_from_their_own_past(axis: Axis) -> None:
    """Each score less the mean of the symbol's scores up to it, spread 1; what is missing scores 0."""
    raw = axis.grid(["level", "holes"])
    scores, plain = cross(axis, raw), across(raw)
    there = np.isfinite(raw) & (plain != 0.0).any(axis=0)
    for symbol in range(SYMBOLS):
        for column in range(2):
            own = plain[symbol, column][there[symbol, column]].astype(np.float64)
            wanted = own - np.cumsum(own) / np.arange(1, len(own) + 1)
            wanted /= np.sqrt((wanted**2).mean())
            np.testing.assert_allclose(scores[symbol, column][there[symbol, column]], wanted, atol=1e-4)
    assert not scores[~there].any()


def test_what_comes_later_changes_a_score_by_a_factor_alone(axis: Axis) -> None:
    """The mean that is taken off knows nothing of later bars; with that of all time it would."""
    raw = axis.grid(["level"])
    later = raw.copy()
    later[0, 0, 200:] += 50.0
    first, second = (cross(axis, grid)[0, 0, 1:200] for grid in (raw, later))
    ratio = second[np.abs(first) > 0.1] / first[np.abs(first) > 0.1]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_a_timestamp_with_too_few_symbols_scores_nothing(axis: Axis) -> None:
    """Half of the symbols are needed, at least three, or all of that timestamp is missing."""
    raw = axis.grid(["level"])
    raw[:3, 0, 50:60] = np.nan
    assert not cross(axis, raw)[:, 0, 50:60].any()


def test_ranks_over_time_are_those_of_each_symbol(axis: Axis) -> None:
    """On daily bars nothing else is done to them: their mean is 0 already."""
    raw = axis.grid(["level", "holes"])
    scores = over_time(axis, raw)
    for symbol in range(SYMBOLS):
        np.testing.assert_allclose(scores[symbol], rank_rows(raw[symbol]), atol=1e-5)
    assert not scores[~np.isfinite(raw)].any()


def test_mean_and_spread_of_each_time_of_day_are_taken_out(tmp_path: Path) -> None:
    """Intraday every slot of every symbol has mean 0 and variance 1, so the clock alone predicts nothing."""
    rng = np.random.default_rng(3)
    days, slots = 40, 13
    clock = np.tile(np.linspace(-2.0, 2.0, slots), days)
    size = np.tile(np.linspace(0.5, 3.0, slots), days)
    noise = rng.standard_normal((4, days * slots))
    made = grid_panel(
        {"clock": clock + size * noise, "y_30m": rng.standard_normal(noise.shape)},
        tmp_path,
        stamps=sessions(days, slots),
    )
    axis = axis_of(made, 32 * slots)
    assert axis.slots is not None
    assert axis.slots.tolist() == list(range(slots)) * 32
    raw = axis.grid(["clock"])
    raw[0, 0, 7 * slots + 5] = np.nan
    for scored in (over_time, cross):
        by_slot = scored(axis, raw)[:, 0].reshape(4, 32, slots).astype(np.float64)
        known = np.isfinite(raw[:, 0]).reshape(4, 32, slots)
        means = by_slot.sum(axis=1) / known.sum(axis=1)
        np.testing.assert_allclose(means - means.mean(axis=1, keepdims=True), 0.0, atol=0.05)
        np.testing.assert_allclose((by_slot**2).sum(axis=1) / known.sum(axis=1), 1.0, atol=0.05)
        assert by_slot[0, 7, 5] == 0.0


def test_a_time_of_day_that_was_seen_a_few_times_says_nothing(tmp_path: Path) -> None:
    """Seven days are too few to know what is usual at an hour."""
    rng = np.random.default_rng(4)
    stamps = sessions(30, 13)
    late = (np.arange(len(stamps)) % 13 == 12) & (np.arange(len(stamps)) >= 7 * 13)
    made = grid_panel(
        {"a": rng.standard_normal((3, 390)), "y_30m": rng.standard_normal((3, 390))},
        tmp_path,
        bars=np.tile(~late, (3, 1)),
        stamps=stamps,
    )
    axis = axis_of(made, len(made.timestamps))
    assert axis.slots is not None
    scores = over_time(axis, axis.grid(["a"]))
    assert (axis.slots == 12).sum() == 7
    assert not scores[..., axis.slots == 12].any()
    assert scores[..., axis.slots == 11].all()


def test_folding_forgets_the_sign() -> None:
    """Scores and their mirror image are one; the mean is 0 over what is there; what is missing stays 0."""
    rng = np.random.default_rng(5)
    scores = rng.standard_normal((3, 2, 200)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = 0.0
    made = folded(scores)
    np.testing.assert_array_equal(made, folded(-scores))
    np.testing.assert_allclose(made.sum(axis=-1), 0.0, atol=1e-3)
    assert not made[scores == 0.0].any()
    own = np.abs(scores[0, 0][scores[0, 0] != 0.0])
    np.testing.assert_allclose(made[0, 0][scores[0, 0] != 0.0], own - own.mean(), atol=1e-5)


@pytest.mark.parametrize(("count", "size"), [(0, 3), (7, 3), (6, 3), (2, 5)])
def test_chunks_cover_everything_once(count: int, size: int) -> None:
    """In order, none larger than asked for."""
    parts = [list(range(count))[part] for part in chunks(count, size)]
    assert [place for part in parts for place in part] == list(range(count))
    assert all(0 < len(part) <= size for part in parts)
