"""Planning over intraday bars: sessions, horizons in minutes, and a clock that is no skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planner_samples import ahead, quick_config, request, rows_by, write

from planner import make_plan
from planner.request import PlanningResult

DAYS, BARS = 60, 26  # quarter hours of a session of six and a half hours


def _frame(seed: int) -> pd.DataFrame:
    """A target driven by a feature, and one that only follows the time of day."""
    rng = np.random.default_rng(seed)
    rows = DAYS * BARS
    stamps = [
        pd.Timestamp("2024-01-02 14:30", tz="UTC") + pd.Timedelta(days=day, minutes=15 * bar)
        for day in range(DAYS)
        for bar in range(BARS)
    ]
    clock = np.tile(np.cos(np.arange(BARS) / BARS * 2 * np.pi), DAYS)
    alpha = rng.standard_normal(rows)
    driven = 0.18 * np.concatenate(([0.0], alpha[:-1])) + rng.standard_normal(rows)
    return pd.DataFrame(
        {
            "ts": pd.DatetimeIndex(stamps).as_unit("ns"),
            "alpha": alpha,
            "clock_cos": clock,
            "clock_sin": np.tile(np.sin(np.arange(BARS) / BARS * 2 * np.pi), DAYS),
            "y_driven_15m": ahead(driven, 1),
            "y_hour_15m": 0.4 * clock + rng.standard_normal(rows),
            "y_luck_1h": ahead(rng.standard_normal(rows), 4),
        }
    )


def _frames() -> dict[str, pd.DataFrame]:
    return {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD"), start=1)}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> PlanningResult:
    """Four symbols planned over sixty sessions."""
    place = tmp_path_factory.mktemp("intraday")
    write(
        {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD"), start=1)},
        place / "data",
    )
    return make_plan(request(place / "data", place / "results"))


def test_horizons_are_read_in_bars_of_the_data(result: PlanningResult) -> None:
    """A quarter of an hour is one bar, an hour four."""
    bars = {row["target"]: row["horizon_bars"] for row in result.ranking}
    assert bars == {"y_driven_15m": 1, "y_hour_15m": 1, "y_luck_1h": 4}


def test_the_null_has_whole_sessions_only(result: PlanningResult) -> None:
    """The number of shifts is under the number of sessions, however many bars there are."""
    tested = [row["shifts"] for row in result.ranking if row["z"] is not None]
    assert all(shifts < DAYS for shifts in tested)


def test_a_short_history_is_not_tested_and_says_so(result: PlanningResult) -> None:
    """Sixty sessions leave too few shifts: the row is dropped with the number, not believed."""
    for row in rows_by(result, "ranking", "target")["y_hour_15m"]:
        assert not row["kept"]
        assert "shifts to test it" in row["reason"] or "not told apart from luck" in row["reason"]


def test_the_clock_is_no_leak(result: PlanningResult) -> None:
    """The time of day matches its target strongly and is known to everybody."""
    verdicts = {row["feature"]: row["verdict"] for row in result.leaks if row["target"] == "y_hour_15m"}
    assert verdicts["alpha"] == "SAFE"
    assert verdicts["clock_cos"] == "SAFE"
    assert verdicts["clock_sin"] == "SAFE"


def test_with_fewer_shifts_asked_for_the_driven_target_is_kept_and_the_clock_is_not(
    tmp_path: Path,
) -> None:
    """Told apart by whole-session shifts: real skill stays, the pattern of the day goes."""
    write(
        {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD"), start=1)},
        tmp_path / "data",
    )
    config = quick_config(ranking={"min_shifts": 20, "boosting_rounds": 10})
    found = make_plan(request(tmp_path / "data", tmp_path / "results", config=config))
    assert found.selected_targets == ("y_driven_15m",)
