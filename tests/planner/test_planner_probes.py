"""The probes and their verdicts: planted leaks of several kinds, and features that are only persistent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_samples import ahead, panel_of

from panel.aligned import Panel
from panel.folds import holdout_from
from planner.config import LeakageConfig
from planner.leakage import ELSEWHERE, judge_leaks, spread_blame, unusable_features, verdicts_of
from planner.probes import Probes, probe_targets
from planner.tables import BLOCKED, SAFE, SUSPECT, LeakRow

ROWS = 1_500
RETURNS = ("y_ret_1d", "y_ret_5d")


def _volatile(rng: np.random.Generator, rows: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Shocks whose size changes slowly, and that size."""
    log_size = np.zeros(rows)
    for place in range(1, rows):
        log_size[place] = 0.97 * log_size[place - 1] + 0.2 * rng.standard_normal()
    size = np.exp(log_size)
    return size * rng.standard_normal(rows), size


def _frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shocks, _ = _volatile(rng, ROWS)
    week = np.lib.stride_tricks.sliding_window_view(np.abs(shocks), 5)
    coming = np.full(ROWS, np.nan)
    coming[: ROWS - 5] = week[1:].max(axis=1)
    past = np.concatenate(
        (np.full(19, np.nan), np.lib.stride_tricks.sliding_window_view(np.abs(shocks), 20).mean(axis=1))
    )
    five = ahead(shocks, 5)
    noise = rng.standard_normal(ROWS)
    partly = rng.standard_normal(ROWS)
    some = rng.uniform(size=ROWS) < 0.15
    partly[some] = np.nan_to_num(five)[some]
    return pd.DataFrame(
        {
            "ts": pd.date_range("2010-01-01", periods=ROWS, freq="D", tz="UTC").as_unit("ns"),
            "fair_noise": noise,
            "fair_volatility": past,
            "fair_last_move": np.abs(shocks),
            "fair_past_return": pd.Series(shocks).rolling(5).sum().to_numpy(),
            "fair_legal_lag": np.concatenate((np.full(5, np.nan), coming[:-5])),
            "fair_weekday": np.sin(2 * np.pi * (np.arange(ROWS) % 7) / 7),
            "leak_copy": np.exp(five / 10.0),
            "leak_noisy": five + 0.5 * np.nanstd(five) * noise,
            "leak_next_bar": np.concatenate((shocks[1:], [np.nan])) + 0.5 * rng.standard_normal(ROWS),
            "leak_partly": partly,
            "leak_size": np.abs(np.nan_to_num(five)) * np.where(rng.uniform(size=ROWS) < 0.5, -1.0, 1.0),
            "y_ret_1d": ahead(shocks, 1),
            "y_ret_5d": five,
            "y_move_5d": coming,
            "y_abs_5d": np.abs(five),
            "y_up_5d": (five > 0).astype(float),
        }
    )


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Three symbols with slow volatility, fair features and planted leaks."""
    data = {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC"), start=1)}
    return panel_of(data, tmp_path_factory.mktemp("probes"))


def _probed(panel: Panel) -> list[Probes]:
    until = holdout_from(panel, 0.2)
    return list(probe_targets(panel, panel.targets, panel.feature_names, until=until))


def _judged(panel: Panel, config: LeakageConfig | None = None) -> list[LeakRow]:
    return [
        row
        for probes in _probed(panel)
        for row in judge_leaks(probes, panel.feature_names, config or LeakageConfig())
    ]


@pytest.fixture(scope="module")
def rows(panel: Panel) -> Mapping[tuple[str, str], LeakRow]:
    """The verdict on every pair, before blame is spread."""
    return {(row.target, row.feature): row for row in _judged(panel)}


@pytest.mark.parametrize(
    ("target", "feature", "probe"),
    [
        ("y_ret_5d", "leak_copy", "copy"),
        ("y_ret_5d", "leak_noisy", "part_window"),
        ("y_ret_5d", "leak_next_bar", "next_bar"),
        ("y_ret_5d", "leak_partly", "ratio_spike"),
        ("y_ret_1d", "leak_next_bar", "next_bar"),
        ("y_abs_5d", "leak_size", "future_increment"),
        ("y_abs_5d", "leak_copy", "future_increment"),
        ("y_up_5d", "leak_noisy", "future_increment"),
        ("y_move_5d", "leak_next_bar", "future_increment"),
    ],
)
def test_planted_leaks_are_blocked_with_their_evidence(
    rows: Mapping[tuple[str, str], LeakRow], target: str, feature: str, probe: str
) -> None:
    """Copies, noisy copies, the next bar alone, partial copies, and a leak of the size without the sign."""
    row = rows[target, feature]
    assert row.verdict == BLOCKED
    assert row.probe in (probe, "correlation")
    assert any(digit.isdigit() for digit in row.evidence)


def test_a_partial_copy_is_seen_by_its_ratio(rows: Mapping[tuple[str, str], LeakRow]) -> None:
    """One row in seven copied is a spike in feature / target, whatever its correlation."""
    spike = rows["y_ret_5d", "leak_partly"].ratio_spike
    assert spike is not None
    assert spike > 0.1


@pytest.mark.parametrize(
    "feature",
    ["fair_noise", "fair_volatility", "fair_last_move", "fair_past_return", "fair_legal_lag", "fair_weekday"],
)
def test_fair_features_are_safe_for_every_target(
    rows: Mapping[tuple[str, str], LeakRow], feature: str
) -> None:
    """Neither persistence nor a legal lag is a leak."""
    assert {row.verdict for row in rows.values() if row.feature == feature} == {SAFE}


def test_volatility_matches_the_range_strongly_and_is_safe_all_the_same(
    rows: Mapping[tuple[str, str], LeakRow],
) -> None:
    """The legal correlation is far above the line for returns; the past explains it."""
    row = rows["y_move_5d", "fair_volatility"]
    assert row.copy_correlation is not None
    assert row.copy_correlation > 0.4
    assert row.verdict == SAFE


def test_a_clock_that_explains_a_daily_pattern_is_no_leak(tmp_path: Path) -> None:
    """Intraday ranges follow the time of day far beyond every line, and the time is known to everybody."""
    rng = np.random.default_rng(8)
    days, bars = 120, 13
    stamps = [
        pd.Timestamp("2024-01-02 14:30", tz="UTC") + pd.Timedelta(days=day, minutes=30 * bar)
        for day in range(days)
        for bar in range(bars)
    ]
    angle = np.tile(np.arange(bars) / bars * 2 * np.pi, days)
    move = np.abs(2.0 * np.cos(angle) + 3.0 + 0.5 * rng.standard_normal(days * bars))
    coming = np.concatenate((move[1:], [np.nan]))
    table = pd.DataFrame(
        {
            "ts": pd.DatetimeIndex(stamps).as_unit("ns"),
            "clock_sin": np.sin(angle),
            "clock_cos": np.cos(angle),
            "last_move": move,
            "leak": coming + 0.2 * rng.standard_normal(days * bars),
            "y_move_30m": coming,
        }
    )
    rows = {row.feature: row for row in _judged(panel_of({"AAA": table}, tmp_path))}
    assert rows["clock_cos"].copy_correlation is not None
    assert rows["clock_cos"].copy_correlation > 0.5
    assert {name: row.verdict for name, row in rows.items()} == {
        "clock_sin": SAFE,
        "clock_cos": SAFE,
        "last_move": SAFE,
        "leak": BLOCKED,
    }


def test_who_knows_one_future_is_used_for_no_target(panel: Panel) -> None:
    """A feature blocked for one target is suspect and left out for the others, with the proof named."""
    spread = spread_blame(_judged(panel))
    unusable = unusable_features(spread)
    leaks = {name for name in panel.feature_names if name.startswith("leak_")}
    assert all(set(unusable[column.name]) == leaks for column in panel.targets)
    row = next(row for row in spread if (row.target, row.feature) == ("y_ret_1d", "leak_size"))
    assert (row.verdict, row.probe) == (SUSPECT, ELSEWHERE)
    assert "y_abs_5d" in row.evidence
    assert verdicts_of(spread)["y_ret_1d"]["fair_noise"] == SAFE


def test_a_trusted_feature_is_reported_and_not_blocked(panel: Panel) -> None:
    """The user may vouch for a feature; the measurement stays in the evidence."""
    trusted = LeakageConfig(trusted=("leak_noisy",))
    row = next(
        row for row in _judged(panel, trusted) if (row.target, row.feature) == ("y_ret_5d", "leak_noisy")
    )
    assert row.verdict == SAFE
    assert row.evidence.startswith("trusted by the configuration; rank correlation")


def test_a_leak_in_one_symbol_alone_is_found(tmp_path: Path) -> None:
    """One broken vendor file among three is enough, and is named."""
    data = {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC"), start=1)}
    for name, table in list(data.items()):
        rng = np.random.default_rng(len(name))
        table["mixed"] = table["leak_noisy"] if name == "BBB" else rng.standard_normal(ROWS)
        data[name] = table.drop(columns=[column for column in table if str(column).startswith("leak_")])
    rows = {(row.target, row.feature): row for row in _judged(panel_of(data, tmp_path))}
    row = rows["y_ret_5d", "mixed"]
    assert row.verdict == BLOCKED
    assert row.symbol == "BBB"
    assert row.evidence.startswith("BBB alone: ")


def test_few_rows_accuse_nobody(tmp_path: Path) -> None:
    """With 120 rows the lines rise with the noise: pure noise is never blocked."""
    rng = np.random.default_rng(3)
    stamps = pd.date_range("2020-01-01", periods=150, freq="D", tz="UTC").as_unit("ns")
    noise = {f"n{number:02d}": rng.standard_normal(150) for number in range(40)}
    data = {"AAA": pd.DataFrame({"ts": stamps, **noise, "y_ret_5d": ahead(rng.standard_normal(150), 5)})}
    assert {row.verdict for row in _judged(panel_of(data, tmp_path))} == {SAFE}


def test_the_final_segment_is_not_probed(tmp_path: Path) -> None:
    """A feature that starts to leak in the final segment looks as it did; so do all measurements."""
    before = {"AAA": _frame(4)}
    after = {"AAA": before["AAA"].copy()}
    late = after["AAA"].index >= holdout_from(panel_of(before, tmp_path / "one"), 0.2)
    after["AAA"].loc[late, "fair_noise"] = after["AAA"].loc[late, "y_ret_5d"]
    after["AAA"].loc[late, "y_move_5d"] = 7.0
    assert _judged(panel_of(before, tmp_path / "one")) == _judged(panel_of(after, tmp_path / "two"))
