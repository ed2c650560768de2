"""Planning over intraday bars: sessions, horizons in minutes, and a clock that is no skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_cells import sessions
from planner_samples import ahead, panel_of, request, rows_by, write

from panel.folds import holdout_from
from planner import make_plan
from planner.finding import find_laws
from planner.products import screen_products
from planner.request import PlanningResult
from planner.scores import axis_of, channels_of
from planner.screens import screen

Floats = npt.NDArray[np.float64]
DAYS, BARS = 60, 26  # quarter hours of a session of six and a half hours


def _frame(seed: int) -> pd.DataFrame:
    """A target driven by a feature, and one that only follows the time of day."""
    rng = np.random.default_rng(seed)
    rows = DAYS * BARS
    clock = np.tile(np.cos(np.arange(BARS) / BARS * 2 * np.pi), DAYS)
    alpha = rng.standard_normal(rows)
    driven = 0.18 * np.concatenate(([0.0], alpha[:-1])) + rng.standard_normal(rows)
    return sessions(
        {
            "alpha": alpha,
            "clock_cos": clock,
            "clock_sin": np.tile(np.sin(np.arange(BARS) / BARS * 2 * np.pi), DAYS),
            "y_driven_15m": ahead(driven, 1),
            "y_hour_15m": 0.4 * clock + rng.standard_normal(rows),
            "y_luck_1h": ahead(rng.standard_normal(rows), 4),
        },
        BARS,
    )


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


def test_a_short_history_is_tested_all_the_same(result: PlanningResult) -> None:
    """Sixty sessions are enough for a p-value: the screens take out the clock and shift by single bars."""
    assert all(row["p_value"] is not None for row in result.ranking)
    driven = rows_by(result, "ranking", "target")["y_driven_15m"]
    assert driven[0]["kept"]
    assert driven[0]["leading"] == ["alpha"]
    assert result.selected_targets == ("y_driven_15m",)


def test_the_pattern_of_the_day_is_no_skill(result: PlanningResult) -> None:
    """A target that only follows the time of day is predicted by models of it, and dropped all the same."""
    for row in rows_by(result, "ranking", "target")["y_hour_15m"]:
        assert not row["kept"]
        assert row["p_value"] > 0.05
        assert "luck's size" in row["reason"]


def test_the_clock_is_no_leak(result: PlanningResult) -> None:
    """The time of day matches its target strongly and is known to everybody."""
    verdicts = {row["feature"]: row["verdict"] for row in result.leaks if row["target"] == "y_hour_15m"}
    assert verdicts["alpha"] == "SAFE"
    assert verdicts["clock_cos"] == "SAFE"
    assert verdicts["clock_sin"] == "SAFE"


def test_the_next_minute_is_not_certified(tmp_path: Path) -> None:
    """Direction one bar ahead that is luck, beside features of price and volume with the day's pattern."""
    data = {name: _noisy(seed) for seed, name in enumerate(("AAA", "BBB", "CCC"), start=111)}
    found = make_plan(request(write(data, tmp_path / "data"), tmp_path / "results"))
    assert found.selected_targets == ()
    assert found.jobs == 0


def _noisy(seed: int, days: int = DAYS, weather: Floats | None = None) -> pd.DataFrame:
    """Noise whose size has the shape of a U over the day, and features that know the day and the past.

    `weather` (days,) makes all sizes of a day larger or smaller together.
    """
    rng = np.random.default_rng(seed)
    slot = np.tile(np.arange(BARS), days)
    shape = 1.0 + 2.5 * (slot / (BARS / 2) - 1.0) ** 2
    size = shape if weather is None else shape * np.repeat(np.exp(weather), BARS)
    past, coming = (size * rng.standard_normal(BARS * days) for _ in range(2))
    return sessions(
        {
            "change": past,
            "mean_8": pd.Series(past).rolling(8, min_periods=1).mean().to_numpy(),
            "size_13": pd.Series(past).rolling(13, min_periods=2).std().bfill().to_numpy(),
            "hour": np.cos(slot / BARS * 2 * np.pi) + 0.1 * rng.standard_normal(BARS * days),
            "volume": size * np.exp(0.5 * rng.standard_normal(BARS * days)),
            "y_return_15m": ahead(coming, 1),
            "y_return_1h": ahead(coming, 4),
            "y_up_15m": np.where(np.isfinite(ahead(coming, 1)), ahead(coming, 1) > 0, np.nan),
            "y_hour_15m": np.cos(slot / BARS * 2 * np.pi) + shape * rng.standard_normal(BARS * days),
            "y_size_15m": np.abs(shape * rng.standard_normal(BARS * days)),
        },
        BARS,
    )


def _p_values(seed: int, folder: Path) -> list[float]:
    """The p-value of every view of every target of three symbols of noise that share the weather."""
    weather = np.random.default_rng(seed).standard_normal(40) * 0.7
    data = {
        name: _noisy(1000 * seed + place, 40, weather) for place, name in enumerate(("AAA", "BBB", "CCC"))
    }
    panel = panel_of(data, folder)
    axis = axis_of(panel, holdout_from(panel))
    channels = channels_of(panel, panel.targets)
    screened = screen(axis, sorted(panel.feature_names), channels)
    every = np.ones((len(panel.feature_names), len(channels)), dtype=bool)
    products = screen_products(screened, every)
    found = []
    for place in range(len(channels)):
        laws = find_laws(screened, products, [place], every[:, 0])
        assert laws.pooled is not None
        found += [laws.pooled.p, *(law.p for law in laws.alone.values())]
    return found


def test_noise_with_the_pattern_of_the_day_is_called_a_law_one_time_in_twenty(tmp_path: Path) -> None:
    """Panels of forty sessions whose sizes follow the clock and the weather of the day, and nothing else."""
    p = np.array([one for seed in range(20) for one in _p_values(seed, tmp_path / str(seed))])
    assert len(p) == 20 * 5 * 4
    assert (p < 0.05).mean() < 0.07
    assert (p < 0.005).mean() < 0.012
    assert (p < 0.5).mean() > 0.1  # neither are they all certain to be luck
