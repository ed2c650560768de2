"""FTRLProximal: the algorithm of the papers, sparse, on-line, and a fit like all others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_children import contents
from executor_fits import (
    bundle_of,
    killed_after_every_checkpoint,
    outcome_of,
    predicted_elsewhere,
    stopped_at,
    with_another_future,
)
from executor_panels import SYMBOLS, symbol_frame, write_panel
from scipy.optimize import minimize_scalar

from executors.bundle import PREPROCESSING
from executors.contract import FitSpec, Succeeded
from executors.cpu.bins import QuantileBins
from executors.cpu.coordinates import Coordinates
from executors.cpu.ftrl import Ftrl, Rates
from executors.cpu.ftrl_family import _batch_starts, _OnLine, _stretches
from executors.cpu.links import answers, constant_scores, losses, ordered_product, slopes
from executors.estimating import Arrays
from executors.trainers import trainer_of
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "FTRLProximal"
TARGETS = ("fwd_ret_1d", "y_up_1d", "y_class_1d")


def outline_of(bundle: Any) -> dict[str, Any]:
    """Return what the model's predictions need to know."""
    return dict(json.loads(bundle.files[PREPROCESSING]))


@pytest.mark.parametrize("l1", [0.0, 0.05])
def test_weights_minimise_what_the_paper_says_they_do(l1: float) -> None:
    """Round after round, each weight is the minimum of linear part, penalties and proximity to all before."""
    random = np.random.default_rng(2)
    rates = Rates(alpha=0.3, beta=0.5, l1=l1, l2=0.02)
    ftrl = Ftrl.empty(3, 1, rates)
    gradients, visited, sigmas = [], [], []
    for number in range(1, 30):
        weights = ftrl.weights(number - 1)
        gradient = random.standard_normal((3, 1)) * [[1.0], [0.3], [2.0]] + [[0.4], [0.0], [-0.1]]
        squares = np.sum(np.square([*gradients, gradient]), axis=0)
        before = np.sum(np.square(gradients), axis=0) if gradients else np.zeros((3, 1))
        sigmas.append((np.sqrt(squares) - np.sqrt(before)) / rates.alpha)
        gradients.append(gradient)
        visited.append(weights)
        ftrl.learn(gradient, weights)
        for place in range(3):

            def objective(w: float, place: int = place, rounds: int = number) -> float:
                linear = sum(float(g[place, 0]) for g in gradients) * w
                past = zip(sigmas, visited, strict=True)
                near = sum(float(s[place, 0]) * (w - float(v[place, 0])) ** 2 for s, v in past)
                penalty = rounds * (l1 * abs(w) + 0.5 * 0.02 * w * w)
                return linear + penalty + 0.5 * near + 0.5 * (rates.beta / rates.alpha) * w * w

            expected = minimize_scalar(objective, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
            assert float(ftrl.weights(number)[place, 0]) == pytest.approx(expected.x, abs=1e-5)
    assert bool((ftrl.weights(29) == 0).any()) == (l1 > 0)


def test_a_coordinate_without_a_gradient_is_left_as_it_is() -> None:
    """Sparse rows cost nothing where they are zero: neither z nor n moves."""
    ftrl = Ftrl.empty(2, 1, Rates(alpha=0.1, beta=1.0, l1=0.0, l2=0.0))
    ftrl.learn(np.array([[1.0], [2.0]]), ftrl.weights(1))
    z, n = ftrl.z.copy(), ftrl.n.copy()
    ftrl.learn(np.array([[0.7], [0.0]]), ftrl.weights(1))
    assert (ftrl.z[1], ftrl.n[1]) == (z[1], n[1])
    assert (ftrl.z[0], ftrl.n[0]) != (z[0], n[0])


@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
def test_slopes_are_the_derivatives_of_the_losses(task: str, outputs: int) -> None:
    """Finite differences agree, also where scores are large."""
    random = np.random.default_rng(1)
    scores = random.standard_normal((40, outputs)) * 5
    labels = random.integers(0, max(2, outputs), 40).astype(np.float64)
    found = slopes(task, scores, labels)
    for place in range(outputs):
        step = np.zeros(outputs)
        step[place] = 1e-6
        differences = (losses(task, scores + step, labels) - losses(task, scores - step, labels)) / 2e-6
        np.testing.assert_allclose(found[:, place], differences, atol=1e-6)
    assert np.isfinite(losses(task, scores * 1e3, labels)).all()
    constant = constant_scores(task, outputs, labels, np.ones(40))
    at_constant = slopes(task, np.broadcast_to(constant, scores.shape), labels)
    np.testing.assert_allclose(at_constant.mean(axis=0), 0.0, atol=1e-9)  # no better constant


def test_a_row_has_the_same_answer_in_any_company() -> None:
    """Products are added up in one order, so a row's bits do not depend on the rows beside it."""
    random = np.random.default_rng(1)
    rows, weights = random.standard_normal((9_001, 13)), random.standard_normal((13, 3))
    whole = ordered_product(rows, weights)
    np.testing.assert_allclose(whole, rows @ weights)
    np.testing.assert_array_equal(whole[77:78], ordered_product(rows[77:78], weights))
    np.testing.assert_array_equal(whole[8_999::-7], ordered_product(rows[8_999::-7], weights))
    np.testing.assert_array_equal(
        answers("multiclass", whole)[5:9], answers("multiclass", np.ascontiguousarray(whole[5:9]))
    )


def test_bins_hold_equal_shares_and_what_is_missing_has_its_own() -> None:
    """Quantiles of the training rows; constants and columns without a value have a single bin."""
    random = np.random.default_rng(1)
    values = np.stack([random.standard_normal(1000), np.ones(1000), np.full(1000, np.nan)], axis=1)
    values = values.astype(np.float32)
    values[::10, 0] = np.nan
    bins = QuantileBins.from_json(json.loads(json.dumps(QuantileBins.fitted(values, 4).to_json())))
    places = bins.applied(values)
    np.testing.assert_allclose(np.bincount(places[:, 0]), [225, 225, 225, 225, 100], atol=2)
    assert set(places[:, 1]) == {0}
    assert set(places[:, 2]) == {4}
    outside = bins.applied(np.array([[1e9, 7.0, 3.0], [-1e9, -7.0, 3.0]], dtype=np.float32))
    np.testing.assert_array_equal(outside, [[3, 0, 0], [0, 0, 0]])


def test_scores_are_the_dense_rows_times_the_weights() -> None:
    """The way that training takes and the way that prediction takes lead to the same number."""
    random = np.random.default_rng(1)
    features = random.standard_normal((50, 4)).astype(np.float32)
    features[3, 2] = np.nan
    for bins in (0, 5):
        coordinates = Coordinates.fitted(features, bins)
        weights = random.standard_normal((coordinates.count, 2))
        np.testing.assert_allclose(
            coordinates.scores(features, weights), coordinates.dense(features) @ weights, rtol=1e-9
        )
    assert (np.count_nonzero(coordinates.dense(features), axis=1) <= 1 + 2 * 4).all()


def test_batches_are_whole_bars_in_the_order_of_time(make_spec: SpecMaker) -> None:
    """All symbols of a bar are learnt together; nothing of a later bar comes before an earlier one."""
    codes = np.repeat(np.arange(10), [3, 1, 1, 1, 4, 2, 2, 1, 1, 1]).astype(np.int32)
    starts = _batch_starts(codes, 3)
    np.testing.assert_array_equal(starts, [0, 3, 6, 10, 14, 17])
    assert all(codes[start - 1] < codes[start] for start in starts[1:-1])
    stretches = _stretches(starts, 7)
    assert [stretch.tolist() for stretch in stretches] == [[0, 3, 6, 10], [10, 14], [14, 17]]


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_planted_is_found_and_much_is_exactly_zero(
    make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Better than the constant on each kind of target, most weights zero, the right features ahead."""
    bundle = bundle_of(make_spec(family=FAMILY, target=target), tmp_path)
    metrics, outline = bundle.card["metrics"], outline_of(bundle)
    assert metrics["error_reduction"] > 0.04
    assert metrics["beats_no_skill"]
    assert outline["weights_zero"] > outline["weights"] / 2
    ranked = sorted(bundle.card["importances"], key=bundle.card["importances"].get, reverse=True)
    assert set(ranked[:2]) == {"f0", "f1"}  # f1 by its size alone, which only bins can see


def test_l1_sets_noise_features_exactly_to_zero(make_spec: SpecMaker, tmp_path: Path) -> None:
    """With the penalty the features that say nothing have no weight at all, without it all have one."""
    spec = make_spec(family=FAMILY, params={"bins": 0, "l1": 3.0})
    sparse = bundle_of(spec, tmp_path / "sparse").card["importances"]
    full = bundle_of(replace(spec, params={"bins": 0, "l1": 0.0}), tmp_path / "full").card["importances"]
    assert [name for name, size in sparse.items() if size > 0] == ["f0"]
    assert all(size > 0 for size in full.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_found_in_noise(make_spec: SpecMaker, tmp_path: Path, seed: int) -> None:
    """A target that nothing can say is predicted as its mean, or nearly."""
    frames = {symbol: symbol_frame(symbol, 10 * seed + place) for place, symbol in enumerate(SYMBOLS)}
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, target="y_noise_1d", panel_path=panel.path, panel_key=panel.key)
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    assert abs(metrics["error_reduction"]) < 0.02
    assert not metrics["beats_no_skill"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_killed_or_stopped_anywhere_gives_the_same_bytes(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """After every state it saves, and when asked to stop at several steps."""
    monkeypatch.setattr("executors.cpu.ftrl_family._DENSE_NUMBERS", 30_000)
    monkeypatch.setattr("executors.cpu.ftrl_family._STRETCHES_A_STEP", 2)  # three steps a pass
    spec = make_spec(family=FAMILY, target=target, checkpoint_rounds=2, params={"passes": 4})
    bundle_of(spec, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "bundle")
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 4
    assert got == expected
    got, stops = stopped_at(spec, tmp_path / "stopped", [1, 2, 5])
    assert stops == [0, 1, 5]
    assert got == expected


def test_a_state_without_the_squares_is_found_out(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth: without n the learning rates of the rest are others."""
    spec = make_spec(family=FAMILY, checkpoint_rounds=1, params={"passes": 3})
    bundle_of(spec, tmp_path / "whole")
    restore = _OnLine.restore

    def forgetful(self: _OnLine, state: Arrays) -> None:
        restore(self, {**state, "n": np.zeros_like(state["n"])})

    monkeypatch.setattr(_OnLine, "restore", forgetful)
    got, _ = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert got != contents(tmp_path / "whole" / "bundle")


def test_a_fresh_process_predicts_the_same_bits_without_any_training_library(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel
) -> None:
    """A few rows backwards, asked on another number of threads; numpy is all that is loaded."""
    bundle = bundle_of(make_spec(family=FAMILY, target="y_class_1d"), tmp_path)
    rows = np.arange(2000, 2900, 7)[::-1].copy()
    got, foreign = predicted_elsewhere(tmp_path / "bundle", panel, rows)
    assert got == bundle.predict(panel, np.arange(panel.rows))[rows].tobytes()
    assert foreign == "[]"
    recorded = bundle.predictions().probabilities
    data_rows = np.flatnonzero(np.isin(panel.times, bundle.predictions().time))
    assert bundle.predict(panel, data_rows).tobytes() == recorded.tobytes()


def test_the_future_changes_no_prediction_and_no_model(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel
) -> None:
    """Other features and labels in the last fifth: the same model, and the same bits for earlier rows."""
    spec = make_spec(family=FAMILY)
    before = bundle_of(spec, tmp_path / "before")
    other = with_another_future(tmp_path / "other", days=400, columns=("f0", "f1", "fwd_ret_1d"))
    after = bundle_of(replace(spec, panel_path=other.path, panel_key=other.key), tmp_path / "after")
    for name in ("model.safetensors", PREPROCESSING):
        assert before.files[name] == after.files[name]
    earlier = np.concatenate([np.arange(own.start, own.start + 400) for own in map(panel.rows_of, SYMBOLS)])
    np.testing.assert_array_equal(after.predict(other, earlier), before.predict(panel, earlier))


def test_features_that_say_nothing_or_are_missing_are_borne(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A constant feature, one without a single value and one with few values get through to a model."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["f4"], frame["f6"] = 1.0, np.sign(frame["f6"])
        frame.loc[frame.index[5:], "f5"] = np.nan
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key)
    assert isinstance(outcome_of(spec), Succeeded)


def test_it_looks_at_the_row_alone() -> None:
    """One prediction needs one row."""
    assert trainer_of(FAMILY).window_rows({}) == 1
