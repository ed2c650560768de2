"""The circular-shift null: luck stays luck, skill is seen, and the pattern of the day is no skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_samples import panel_of

from planner.shift_null import TimeAxis, benjamini_hochberg, hierarchical_q_values, shift_test, time_axis

Floats = npt.NDArray[np.float64]
DAYS, SYMBOLS = 600, 4


def _grid(symbols: int = SYMBOLS, days: int = DAYS) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Time and symbol codes of a full panel, rows sorted by symbol and time."""
    return np.tile(np.arange(days), symbols), np.repeat(np.arange(symbols), days)


def _daily(days: int = DAYS) -> TimeAxis:
    return TimeAxis(places=np.arange(days, dtype=np.int64), step=1)


def _slow(rng: np.random.Generator, rows: int, memory: float) -> Floats:
    """An autocorrelated series of variance 1."""
    made = np.zeros(rows)
    shocks = rng.standard_normal(rows) * np.sqrt(1.0 - memory**2)
    for place in range(1, rows):
        made[place] = memory * made[place - 1] + shocks[place]
    return made


def _z(prediction: Floats, label: Floats, metric: str, horizon_bars: int = 1) -> float:
    times, symbols = _grid(len(label) // DAYS)
    found = shift_test(
        prediction, label, times, symbols, _daily(), metric=metric, horizon_bars=horizon_bars, min_shifts=40
    )
    assert found.z is not None
    return found.z


@pytest.mark.parametrize("metric", ["rank_ic", "rank_corr", "rank_corr_pooled", "auc"])
@pytest.mark.parametrize("memory", [0.0, 0.95])
def test_luck_has_standard_normal_z_whatever_its_memory(metric: str, memory: float) -> None:
    """Predictions that know nothing have z of mean about 0 and spread about 1, also with slow sides."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(40):
        label = np.concatenate([_slow(rng, DAYS, memory) for _ in range(SYMBOLS)])
        prediction = np.concatenate([_slow(rng, DAYS, memory) for _ in range(SYMBOLS)])
        found.append(_z(prediction, (label > 0).astype(np.float64) if metric == "auc" else label, metric))
    assert abs(float(np.mean(found))) < 0.6
    assert 0.6 < float(np.std(found)) < 1.5


def test_skill_is_seen() -> None:
    """A prediction that correlates .2 with the label stands far outside the null."""
    rng = np.random.default_rng(1)
    label = rng.standard_normal(DAYS * SYMBOLS)
    prediction = 0.2 * label + rng.standard_normal(len(label))
    assert _z(prediction, label, "rank_ic") > 5
    assert _z(prediction, label, "rank_corr") > 5
    assert _z(prediction, (label > 0).astype(np.float64), "auc") > 5
    assert _z(-prediction, label, "rank_corr") < -5


def test_classes_are_tested_together() -> None:
    """For several classes the scores of all of them add up to one statistic."""
    rng = np.random.default_rng(2)
    times, symbols = _grid()
    label = rng.integers(0, 3, len(times)).astype(np.float64)
    knowing = np.eye(3)[label.astype(int)] + 2.0 * rng.standard_normal((len(label), 3))
    blind = rng.standard_normal((len(label), 3))
    scores = [
        shift_test(kind, label, times, symbols, _daily(), metric="auc_ovr", horizon_bars=1, min_shifts=40).z
        for kind in (knowing, blind)
    ]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[0] > 5
    assert abs(scores[1]) < 3


def test_a_market_that_moves_all_symbols_does_not_multiply_the_evidence() -> None:
    """Twenty symbols that are one and the same are worth one symbol: z does not grow with copies."""
    rng = np.random.default_rng(3)
    label, prediction = rng.standard_normal(DAYS), rng.standard_normal(DAYS)
    prediction += 0.1 * label
    alone = _z(prediction, label, "rank_corr")
    copied = _z(np.tile(prediction, 20), np.tile(label, 20), "rank_corr")
    assert copied == pytest.approx(alone, rel=1e-6)


def test_what_never_changes_is_not_skill() -> None:
    """Knowing only that one symbol is always higher than another is in the null as well."""
    rng = np.random.default_rng(4)
    level = np.repeat(np.arange(SYMBOLS, dtype=np.float64), DAYS)
    label = level + 0.1 * rng.standard_normal(len(level))
    prediction = level + 0.1 * rng.standard_normal(len(level))
    assert abs(_z(prediction, label, "rank_ic")) < 3


def test_the_pattern_of_the_day_is_not_skill(tmp_path: Path) -> None:
    """Intraday the shifts go by whole sessions, so a label that only follows the clock shows no skill."""
    rng = np.random.default_rng(5)
    days, slots = 60, 20
    stamps = pd.DatetimeIndex(
        [
            pd.Timestamp("2020-01-01 14:30", tz="UTC") + pd.Timedelta(days=day, minutes=30 * slot)
            for day in range(days)
            for slot in range(slots)
        ]
    ).as_unit("ns")
    clock = np.tile(np.cos(np.arange(slots) / slots * 2 * np.pi), days)
    label = clock + 0.3 * rng.standard_normal(len(clock))
    data = pd.DataFrame({"ts": stamps, "clock": clock, "y_x_30m": label})
    panel = panel_of({"AAA": data}, tmp_path)
    axis = time_axis(panel)
    assert axis.step == slots
    codes = np.zeros(len(clock), dtype=np.int64)
    arguments = (clock + 0.01 * rng.standard_normal(len(clock)), label, panel.time_codes, codes)
    by_session = shift_test(*arguments, axis, metric="rank_corr", horizon_bars=1, min_shifts=20)
    by_bar = shift_test(*arguments, _daily(len(clock)), metric="rank_corr", horizon_bars=1, min_shifts=20)
    assert by_session.z is not None
    assert by_bar.z is not None
    assert abs(by_session.z) < 3
    assert by_session.shifts < days
    assert by_bar.shifts > days


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
    """From daily bars on every shift is allowed."""
    stamps = pd.date_range("2020-01-01", periods=150, freq="D", tz="UTC").as_unit("ns")
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"ts": stamps, "a": rng.normal(size=150), "y_x_1d": rng.normal(size=150)})
    axis = time_axis(panel_of({"AAA": data}, tmp_path))
    assert axis.step == 1
    assert axis.places.tolist() == list(range(150))


def test_too_few_shifts_give_no_answer() -> None:
    """A short span has no null to compare with; the count says how short."""
    rng = np.random.default_rng(8)
    times, symbols = _grid(1, 60)
    found = shift_test(
        rng.standard_normal(60),
        rng.standard_normal(60),
        times,
        symbols,
        _daily(60),
        metric="rank_corr",
        horizon_bars=5,
        min_shifts=40,
    )
    assert (found.z, found.p_value) == (None, None)
    assert 0 < found.shifts < 40


def test_a_constant_prediction_has_no_z() -> None:
    """What does not vary cannot be tested."""
    times, symbols = _grid()
    label = np.random.default_rng(9).standard_normal(len(times))
    found = shift_test(
        np.ones(len(times)),
        label,
        times,
        symbols,
        _daily(),
        metric="rank_corr",
        horizon_bars=1,
        min_shifts=40,
    )
    assert found.z is None


def test_missing_pairs_are_left_out() -> None:
    """Rows without a prediction or label take no part, and change nothing about the others."""
    rng = np.random.default_rng(10)
    label = rng.standard_normal(DAYS * SYMBOLS)
    prediction = 0.3 * label + rng.standard_normal(len(label))
    prediction[::7] = np.nan
    label[::11] = np.nan
    assert _z(prediction, label, "rank_corr") > 5


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
