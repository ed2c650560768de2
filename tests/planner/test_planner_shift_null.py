"""The axis of sessions and slots, and q-values: targets first, within a target second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planner_samples import panel_of

from planner.shift_null import benjamini_hochberg, hierarchical_q_values, time_axis


def test_the_change_of_summer_time_moves_no_slot(tmp_path: Path) -> None:
    """A session that opens an hour earlier in UTC from some day on keeps its slots."""
    opening = [pd.Timestamp("2020-01-01 14:30", tz="UTC") + pd.Timedelta(days=day) for day in range(30)]
    opening = [stamp - pd.Timedelta(hours=int(stamp.day > 15)) for stamp in opening]
    stamps = pd.DatetimeIndex(
        [stamp + pd.Timedelta(minutes=30 * slot) for stamp in opening for slot in range(13)]
    ).as_unit("ns")
    rng = np.random.default_rng(12)
    data = pd.DataFrame({"ts": stamps, "a": rng.normal(size=390), "y_x_30m": rng.normal(size=390)})
    axis = time_axis(panel_of({"AAA": data}, tmp_path))
    assert axis.step == 13
    assert axis.places.tolist() == list(range(390))


def test_a_market_that_never_closes_has_the_day_as_its_session(tmp_path: Path) -> None:
    """Around the clock the slot is the time of day; missing bars leave holes, not shifts."""
    stamps = pd.date_range("2020-01-01", periods=24 * 20, freq="h", tz="UTC").as_unit("ns")
    kept = np.delete(np.arange(480), [30, 31])
    rng = np.random.default_rng(13)
    data = pd.DataFrame({"ts": stamps[kept], "a": rng.normal(size=478), "y_x_1h": rng.normal(size=478)})
    axis = time_axis(panel_of({"AAA": data}, tmp_path))
    assert axis.step == 24
    assert axis.places.tolist() == kept.tolist()


def test_daily_bars_lie_one_after_the_other(tmp_path: Path) -> None:
    """From daily bars on there is one slot, and a place is a bar."""
    stamps = pd.date_range("2020-01-01", periods=150, freq="D", tz="UTC").as_unit("ns")
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"ts": stamps, "a": rng.normal(size=150), "y_x_1d": rng.normal(size=150)})
    axis = time_axis(panel_of({"AAA": data}, tmp_path))
    assert axis.step == 1
    assert axis.places.tolist() == list(range(150))


def test_benjamini_and_hochberg_by_hand() -> None:
    """The step-up procedure on five p-values worked out on paper; missing ones are no tests."""
    q = benjamini_hochberg([0.01, 0.04, np.nan, 0.03, 0.005, 0.8])
    assert q[[0, 1, 3, 4, 5]] == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.8])
    assert np.isnan(q[2])


def test_benjamini_and_hochberg_keep_the_order_of_the_p_values() -> None:
    """A smaller p never gets a larger q, and no q lies under its p."""
    p = np.sort(np.random.default_rng(11).uniform(size=50))
    q = benjamini_hochberg(p)
    assert (np.diff(q) >= 0).all()
    assert (q >= p).all()
    assert q.max() <= 1.0


def test_no_tests_no_q() -> None:
    """Nothing tested, nothing kept."""
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()


def test_a_lucky_symbol_of_a_noise_target_is_not_carried_through_by_true_discoveries() -> None:
    """Fourteen real targets make a flat procedure lenient; targets first, the noise target falls."""
    real = [[1e-12] * 5] * 14
    noise = [0.66, 0.99, 0.012, 0.36, 0.90]
    flat = benjamini_hochberg([p for family in [*real, noise] for p in family])
    assert flat[-3] < 0.05
    q = hierarchical_q_values([*real, noise], 0.05)
    assert q[-1][2] > 0.05
    assert all((family < 0.05).all() for family in q[:-1])


def test_hierarchical_q_values_by_hand() -> None:
    """Two families of two: Simes 0.01 and 0.8, kept one of two, so the inner q of the kept one is doubled."""
    first, second = hierarchical_q_values([[0.005, 0.04], [0.8, np.nan]], 0.05)
    np.testing.assert_allclose(first, [max(0.02, 0.01 * 2), max(0.02, 0.04 * 2)])
    np.testing.assert_allclose(second, [1.0, np.nan])


def test_hierarchical_false_discoveries_stay_within_the_rate() -> None:
    """On noise alone any target is kept in at most about the rate of the draws."""
    rng = np.random.default_rng(5)
    draws = [
        any((q <= 0.05).any() for q in hierarchical_q_values(rng.random((15, 6)), 0.05)) for _ in range(400)
    ]
    assert np.mean(draws) < 0.09
