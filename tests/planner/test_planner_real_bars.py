"""Real daily bars (public domain, a plain dependency): what can be predicted is kept, what cannot is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bokeh_sampledata
import numpy as np
import pandas as pd
import pytest
from planner_samples import rows_by

from panel.labels import label_directory
from planner import make_plan
from planner.request import PlanningResult, PlanRequest

pytestmark = pytest.mark.slow

VOLATILITY_TARGETS = ("y_range_1d", "y_range_5d", "y_abs_ret_1d", "y_mfe_5d", "y_mdd_5d")
VOLATILITY_FEATURES = ("vol_5", "vol_20", "vol_60", "range_1", "range_20", "parkinson_20", "atr_14")


@dataclasses.dataclass(frozen=True)
class _Real:
    """One planning over the real bars with two plants."""

    request: PlanRequest
    result: PlanningResult


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> _Real:
    """Five symbols, 2000 to 2013, labelled by the product; a noise target and a leaking feature planted."""
    place = tmp_path_factory.mktemp("real")
    bars = pd.read_csv(Path(bokeh_sampledata.__file__).parent / "_data" / "stocks.csv.gz")
    (place / "raw").mkdir()
    for symbol, own in bars.groupby("Ticker"):
        own.drop(columns="Ticker").to_csv(place / "raw" / f"{symbol}.csv", index=False)
    label_directory(place / "raw", place / "data")
    rng = np.random.default_rng(3)
    for file in sorted((place / "data").glob("*/*.parquet")):
        table = pd.read_parquet(file)
        shocks = pd.Series(rng.standard_normal(len(table)))
        table["y_noise_5d"] = shocks.rolling(5).sum().shift(-5).to_numpy()
        future = table["fwd_ret_5d"]
        table["sneaky"] = future + 0.25 * float(np.nanstd(future)) * rng.standard_normal(len(table))
        table.to_parquet(file)
    request = PlanRequest(
        data_dir=place / "data",
        results_dir=place / "results",
        auto_targets=True,
        auto_features=True,
        top_n_targets=20,
        families=("LightGBM", "XGBoost"),
    )
    return _Real(request=request, result=make_plan(request))


@pytest.fixture(scope="module")
def pooled(real: _Real) -> Mapping[str, Mapping[str, Any]]:
    """The cross-sectional row of each target."""
    return {row["target"]: row for row in real.result.ranking if row["symbol"] is None}


@pytest.mark.parametrize("target", VOLATILITY_TARGETS)
def test_targets_driven_by_volatility_are_kept(pooled: Mapping[str, Mapping[str, Any]], target: str) -> None:
    """How much prices move is predictable, out of sample, in every newest part of the time as well.

    The better of both learners knows more than the newest known label says, though that may use what features
    are stripped of: that one symbol is always wilder than another.
    """
    row = pooled[target]
    assert row["kept"], row["reason"]
    assert max(row["linear_score"], row["boosted_score"]) > row["persistence_score"]
    assert row["score_ci_low"] > 0.05


def test_models_predict_the_size_of_five_days_in_every_view(real: _Real) -> None:
    """The noisiest measure of volatility: every interval lies above none, whatever the screens conclude."""
    rows = [
        row for row in rows_by(real.result, "ranking", "target")["y_abs_ret_5d"] if row["score"] is not None
    ]
    assert len(rows) == 5
    assert all(row["score_ci_low"] > 0 for row in rows)
    assert all(row["p_value"] < 0.3 for row in rows)


def test_the_five_day_return_and_direction_are_dropped(
    real: _Real, pooled: Mapping[str, Mapping[str, Any]]
) -> None:
    """Where prices go in five days is not, in any view."""
    for target in ("fwd_ret_5d", "y_up_5d"):
        assert not pooled[target]["kept"]
        assert not any(row["kept"] for row in rows_by(real.result, "ranking", "target")[target])
        assert target in real.result.blocked


def test_the_size_of_moves_ranks_above_their_direction(
    pooled: Mapping[str, Mapping[str, Any]],
) -> None:
    """Whatever little there is in the direction of a day comes after all volatility targets."""
    last = max(pooled[target]["rank"] for target in VOLATILITY_TARGETS)
    for target in ("fwd_ret_1d", "y_up_1d"):
        assert pooled[target]["rank"] is None or pooled[target]["rank"] > last


def test_pure_noise_is_dropped(real: _Real) -> None:
    """The planted target without any signal is kept in no view."""
    rows = rows_by(real.result, "ranking", "target")["y_noise_5d"]
    assert [row["symbol"] for row in rows if row["kept"]] == []
    assert real.result.blocked["y_noise_5d"]


@pytest.mark.parametrize("target", ["fwd_ret_5d", "fwd_ret_1d", "y_up_5d", "y_abs_ret_5d", "y_range_5d"])
def test_the_planted_leak_is_blocked_with_evidence(real: _Real, target: str) -> None:
    """The future return plus noise is found for the return, its parts, its sign and its size."""
    row = next(row for row in real.result.leaks if (row["target"], row["feature"]) == (target, "sneaky"))
    assert row["verdict"] == "BLOCKED"
    assert "rank correlation" in row["evidence"]


def test_the_planted_leak_is_in_no_job(real: _Real) -> None:
    """Not even for targets where it would do little."""
    assert real.result.jobs > 0
    for job in real.result.training_plan["jobs"]:
        assert "sneaky" not in job["features"]
        assert "sneaky" in job["blocked_features"]


def test_no_legal_feature_is_suspected(real: _Real) -> None:
    """Volatility persists, and that is no leak: every other verdict is SAFE."""
    others = [row for row in real.result.leaks if row["feature"] != "sneaky"]
    assert {row["verdict"] for row in others} == {"SAFE"}
    strong = [
        row for row in others if row["target"] == "y_range_5d" and row["feature"] in VOLATILITY_FEATURES
    ]
    assert len(strong) == len(VOLATILITY_FEATURES)
    assert min(row["copy_correlation"] for row in strong) > 0.3


def test_the_features_of_the_range_are_volatility(real: _Real) -> None:
    """The selection has found what everybody knows."""
    leading = [
        row["feature"]
        for row in real.result.selections
        if row["target"] == "y_range_5d" and row["symbol"] is None and (row["position"] or 9) <= 3
    ]
    assert set(leading) <= set(VOLATILITY_FEATURES)


def test_a_symbol_listed_late_is_left_to_the_common_model(real: _Real) -> None:
    """FB has 196 days, all in the final segment: no model of its own, and no jobs lost for the others."""
    route = real.result.routing_plan["targets"]["y_range_5d"]["symbols"]["FB"]
    assert route["route"] == "ROUTE_CROSS_SECTIONAL"
    assert route["local_state"] == "DISALLOWED"


def test_the_cache_answers_a_changed_request(real: _Real, tmp_path: Path) -> None:
    """Other families and fewer targets cost nothing to plan again."""
    again = dataclasses.replace(
        real.request,
        results_dir=tmp_path,
        cache_dir=real.request.results_dir / "cache",
        families=("LSTM",),
        top_n_targets=2,
    )
    result = make_plan(again)
    assert set(result.from_cache) == {"probing for leaks", "ranking targets"}
    assert result.selected_targets == real.result.selected_targets[:2]
