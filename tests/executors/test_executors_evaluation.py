"""Judgement on the rows no one has seen: honest about noise, able to see a signal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.contract import FitSpec, Succeeded
from executors.dataset import fit_data
from executors.distributions import Quantiles
from executors.evaluation import evaluation_bytes, judge
from executors.training import fit_once

SpecMaker = Callable[..., FitSpec]

FAMILIES: dict[str, dict[str, Any]] = {
    "LightGBM": {},
    "XGBoost": {},
    "LSTM": {"window": 5, "learning_rate": 0.01},
}


def metrics_of(spec: FitSpec) -> dict[str, Any]:
    """Do the fit and return its metrics."""
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return dict(outcome.metrics)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("target", "metric"), [("fwd_ret_1d", "rank_ic"), ("y_up_1d", "auc"), ("y_class_1d", "auc_ovr")]
)
def test_a_planted_signal_is_found_by_every_family_on_every_task(
    make_spec: SpecMaker, family: str, target: str, metric: str
) -> None:
    """The score beats no skill and persistence significantly, and takes error away."""
    metrics = metrics_of(make_spec(family=family, target=target, params=FAMILIES[family]))
    assert metrics["metric"] == metric
    assert metrics["beats_no_skill"]
    assert metrics["beats_baseline"]
    assert metrics["error_reduction"] > 0.02
    assert metrics["low"] < metrics["score"] < metrics["high"]


@pytest.mark.parametrize(("family", "draws"), [("LightGBM", 8), ("XGBoost", 8), ("LSTM", 4)])
def test_on_pure_noise_claims_of_skill_are_as_rare_as_their_interval_says(
    make_spec: SpecMaker, tmp_path: Path, family: str, draws: int
) -> None:
    """Of several targets of pure noise at most one looks like skill at 95 %, none looks useful."""
    frames = {symbol: symbol_frame(symbol, 100 + place) for place, symbol in enumerate(SYMBOLS)}
    random = np.random.default_rng(2024)
    for frame in frames.values():
        for draw in range(draws):
            frame[f"y_noise{draw}_1d"] = random.standard_normal(len(frame)).astype(np.float32)
    panel = write_panel(tmp_path, frames)
    found = [
        metrics_of(
            make_spec(
                family=family,
                target=f"y_noise{draw}_1d",
                params=FAMILIES[family],
                panel_path=panel.path,
                panel_key=panel.key,
                checkpoint_dir=tmp_path / "checkpoints" / str(draw),
                bundle_path=tmp_path / "bundles" / str(draw),
            )
        )
        for draw in range(draws)
    ]
    assert sum(metrics["beats_no_skill"] for metrics in found) <= 1
    assert sum(metrics["beats_baseline"] for metrics in found) <= 1
    assert max(metrics["error_reduction"] for metrics in found) < 0.03
    assert max(metrics["skill"] / metrics["standard_error"] for metrics in found) < 3.5


def test_a_symbol_s_own_fit_is_judged_within_the_symbol(make_spec: SpecMaker) -> None:
    """Symbol-specific fits are scored over time, not across symbols."""
    metrics = metrics_of(make_spec(training_type="symbol_specific", symbol="BBB", params={"rounds": 50}))
    assert metrics["metric"] == "rank_corr"
    assert metrics["n"] == 100


def test_a_constant_prediction_has_no_skill(make_spec: SpecMaker) -> None:
    """Saying the training mean scores exactly nothing and takes no error away."""
    data = fit_data(make_spec())
    mean = np.float32(data.labels_at(data.train).mean(dtype=np.float64))
    metrics = judge(data, np.full(len(data.test), mean), training_type="cross_sectional").metrics
    assert metrics["skill"] == 0.0
    assert not metrics["beats_no_skill"]
    assert abs(metrics["error_reduction"]) < 1e-6


def test_the_longer_account_agrees_with_the_score(make_spec: SpecMaker) -> None:
    """Periods and symbols hold all judged rows, their mean score is that of the whole, and it is small."""
    data = fit_data(make_spec())
    noise = np.random.default_rng(0).standard_normal(len(data.test)) * 0.01
    judged = judge(
        data, (data.labels_at(data.test) + noise).astype(np.float32), training_type="cross_sectional"
    )
    account = judged.evaluation
    assert sum(one["rows"] for one in account["by_period"]) == len(data.test)
    assert [one["symbol"] for one in account["by_symbol"]] == list(SYMBOLS)
    weights = [one["n"] for one in account["by_period"]]
    mean = np.average([one["score"] for one in account["by_period"]], weights=weights)
    assert mean == pytest.approx(judged.metrics["score"])
    assert 0.3 < account["calibration"]["slope"] < 0.7  # as much noise as label
    assert account["distribution"] is None
    assert len(evaluation_bytes(account)) < 10_000


def test_quantiles_are_judged_where_a_family_gives_them(make_spec: SpecMaker) -> None:
    """Quantiles of the training labels, the same for all rows, cover about what they say."""
    data = fit_data(make_spec())
    levels = (0.1, 0.5, 0.9)
    values = np.quantile(data.labels_at(data.train), levels).astype(np.float32)
    quantiles = Quantiles(levels=levels, values=np.tile(values, (len(data.test), 1)))
    judged = judge(data, quantiles.values[:, 1], training_type="cross_sectional", quantiles=quantiles)
    report = judged.evaluation["distribution"]
    assert report["coverage"] == pytest.approx(levels, abs=0.05)
    assert abs(report["pinball_reduction"]) < 1e-6
    assert judged.evaluation["calibration"]["slope"] is None


def test_what_is_no_number_is_written_as_null() -> None:
    """JSON has no NaN; nine digits name a float32."""
    written = json.loads(evaluation_bytes({"a": float("nan"), "b": [np.pi, float("inf")], "c": {"d": 1}}))
    assert written == {"a": None, "b": [3.14159265, None], "c": {"d": 1}}


def test_a_perfect_prediction_scores_one(make_spec: SpecMaker) -> None:
    """Knowing the labels is the upper end of every scale."""
    data = fit_data(make_spec())
    metrics = judge(data, data.labels_at(data.test), training_type="cross_sectional").metrics
    assert metrics["score"] == pytest.approx(1.0)
    assert metrics["error_reduction"] == pytest.approx(1.0)
