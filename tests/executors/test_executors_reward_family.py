"""RewardBased: positions that climb the Sharpe ratio after costs, checked against slow arithmetic."""

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

from executors.bundle import PREPROCESSING, Bundle
from executors.contract import FitSpec, Succeeded
from executors.cpu.adam import Adam
from executors.cpu.reward import _STILL, Book, Line
from executors.cpu.reward_family import _slope, positions
from executors.cpu.tanh_net import backward, exact_scores, forward, fresh_weights
from executors.errors import BadInput
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "RewardBased"
HORIZON = 5


def outline_of(bundle: Bundle) -> dict[str, Any]:
    """Return what the model's predictions need to know."""
    return dict(json.loads(bundle.files[PREPROCESSING]))


def overlapping_frame(symbol: str, place: int, *, days: int = 500) -> Any:
    """Return a frame whose label is the sum of the next HORIZON bars' returns, which f0 tells in part."""
    frame = symbol_frame(symbol, place, days=days)[["date", "f0", "f1", "f2"]]
    noise = np.random.default_rng([place, 6]).standard_normal(days)
    bars = 0.01 * (1.5 * frame["f0"].shift(1).fillna(0.0) + noise)
    ahead = sum(bars.shift(-lag) for lag in range(1, HORIZON + 1))
    frame["fwd_ret_5d"] = ahead.astype(np.float32)
    return frame


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Four symbols with labels of five bars, some days and labels missing."""
    random = np.random.default_rng(7)
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        frame = overlapping_frame(symbol, place)
        frame.loc[random.random(len(frame)) < 0.05, "fwd_ret_5d"] = np.nan
        frames[symbol] = frame[random.random(len(frame)) > 0.1].reset_index(drop=True)
    return write_panel(tmp_path_factory.mktemp("overlapping"), frames)


def book_of(panel: Panel, *, cost: float) -> Book:
    """Return the book of all labelled rows but a symbol's last, with uneven weights."""
    labels = panel.values("fwd_ret_5d")
    rows = np.flatnonzero(np.isfinite(labels))[3:400]
    weights = np.random.default_rng(1).uniform(0.2, 1.0, len(rows))
    returns = labels[rows] * 40
    return Book.of(panel, rows, horizon_bars=HORIZON, returns=returns, weights=weights, cost=cost)


def test_the_ratio_is_that_of_books_run_in_parts(overlapping: Panel) -> None:
    """Each part of the book is followed bar by bar, every fifth bar of a symbol: the same ratio."""
    book = book_of(overlapping, cost=0.3)
    taken = np.random.default_rng(2).uniform(-1, 1, len(book.rows))
    position = dict(zip(book.rows.tolist(), taken.tolist(), strict=True))
    weights = np.random.default_rng(1).uniform(0.2, 1.0, len(book.now))
    earned: dict[int, list[tuple[float, float]]] = {}
    for place, row in enumerate(book.rows[book.now].tolist()):
        own = overlapping.rows_of(overlapping.symbols[overlapping.symbol_codes[row]])
        held = position[row - HORIZON] if row - HORIZON >= own.start else 0.0
        reward = position[row] * book.returns[place] - 0.3 * abs(position[row] - held)
        earned.setdefault(int(overlapping.time_codes[row]), []).append((weights[place], reward))
    of_bars = np.array(
        [np.average([r for _, r in own], weights=[w for w, _ in own]) for own in earned.values()]
    )
    of_weights = np.array([sum(w for w, _ in own) for own in earned.values()])
    mean = np.average(of_bars, weights=of_weights)
    spread = np.sqrt(np.average((of_bars - mean) ** 2, weights=of_weights) + _STILL**2)
    assert book.ratio(taken) == pytest.approx(mean / spread, rel=2e-3)  # changes are rounded off near 0
    assert book.without_cost().ratio(taken) > book.ratio(taken)


@pytest.mark.parametrize("cost", [0.0, 0.4])
def test_slopes_of_the_ratio_are_its_derivatives(overlapping: Panel, cost: float) -> None:
    """Finite differences agree at every position, replaced ones and first ones too."""
    book = book_of(overlapping, cost=cost)
    taken = np.random.default_rng(3).uniform(-1, 1, len(book.rows))
    taken[:20] = 0.0
    ratio, slopes = book.ratio_and_slopes(taken)
    assert ratio == pytest.approx(book.ratio(taken), rel=1e-12)
    for place in range(0, len(taken), 5):
        step = np.zeros(len(taken))
        step[place] = 1e-6
        difference = (book.ratio(taken + step) - book.ratio(taken - step)) / 2e-6
        assert slopes[place] == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_slopes_of_the_network_are_its_derivatives(hidden: int, stack: tuple[int, ...]) -> None:
    """Finite differences agree for one network and for several at once, linear and with a hidden layer."""
    random = np.random.default_rng(4)
    weights = {
        name: random.standard_normal((*stack, *array.shape))
        for name, array in fresh_weights(4, hidden, 2, seed=1).items()
    }
    rows, direction = random.standard_normal((*stack, 9, 4)), random.standard_normal((*stack, 9, 2))

    def value(of: dict[str, np.ndarray[Any, Any]]) -> float:
        return float((np.sin(forward(of, rows)[0]) * direction).sum())

    scores, seen = forward(weights, rows)
    slopes = backward(weights, rows, seen, np.cos(scores) * direction)
    assert set(slopes) == set(weights)
    for name, array in weights.items():
        for place in np.ndindex(array.shape):
            step = np.zeros(array.shape)
            step[place] = 1e-6
            high, low = ({**weights, name: array + sign * step} for sign in (1, -1))
            assert slopes[name][place] == pytest.approx((value(high) - value(low)) / 2e-6, abs=1e-6)
    if not stack:
        np.testing.assert_allclose(exact_scores(weights, rows), scores, rtol=1e-9)


def test_adam_takes_the_steps_of_its_paper() -> None:
    """Against the algorithm of the paper written out for one number."""
    arrays = {"w": np.array([1.0])}
    adam, mean, square, w = Adam(arrays), 0.0, 0.0, 1.0
    for number in range(1, 20):
        slope = 2 * w + 0.3 * (-1) ** number
        arrays = adam.stepped(arrays, {"w": np.array([slope])}, number=number, rate=0.1)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        w -= 0.1 * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)
        assert arrays["w"][0] == pytest.approx(w, rel=1e-9)


def test_what_is_planted_earns_and_its_prediction_is_better_than_the_mean(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel
) -> None:
    """Positions rank the labels, the ratio after costs is above nothing, the slope gives the size."""
    bundle = bundle_of(make_spec(family=FAMILY), tmp_path)
    metrics, outline = bundle.card["metrics"], outline_of(bundle)
    assert metrics["error_reduction"] > 0.08
    assert metrics["beats_no_skill"]
    assert outline["reward"]["valid_sharpe"] > 0.5
    assert max(bundle.card["curve"]["valid_sharpe"]) == pytest.approx(outline["reward"]["valid_sharpe"])
    assert outline["reward"]["valid_sharpe_before_costs"] > outline["reward"]["valid_sharpe"]
    rows = np.arange(panel.rows)
    taken = positions(bundle.files, outline, panel, rows)
    assert np.abs(taken).max() <= 1.0
    line = np.polyfit(taken, bundle.predict(panel, rows), 1)
    assert line[0] == pytest.approx(outline["calibration"]["slope"] * outline["labels"]["scale"], rel=1e-3)


def test_the_slope_is_the_lower_one_and_shrinks_with_its_error() -> None:
    """What chance can explain is taken back in part, what it cannot hardly, and nothing is turned round."""
    certain = Line(slope=2.0, error=0.0, mean_position=0.0)
    assert _slope(certain, replace(certain, slope=1.5)) == 1.5
    assert _slope(replace(certain, slope=1.0), replace(certain, error=1.0)) == 0.5
    assert _slope(certain, replace(certain, slope=-1.0)) == 0.0
    assert _slope(certain, replace(certain, slope=0.0)) == 0.0


def test_the_line_is_least_squares_with_an_error_by_bars(overlapping: Panel) -> None:
    """The slope is that of the weighted fit; the error is about that of fits on other draws of the noise."""
    book = book_of(overlapping, cost=0.0)
    random = np.random.default_rng(11)
    taken = random.uniform(-1, 1, len(book.rows))
    weights = book.shares * book.bar_weights[book.bars]
    slopes, errors = [], []
    for _ in range(200):
        shocks = random.standard_normal(len(book.bar_weights))[book.bars]  # common to all symbols of a bar
        again = replace(book, returns=0.7 * taken[book.now] + shocks)
        line = again.line(taken, 1)
        slopes.append(line.slope)
        errors.append(line.error)
    expected = np.polyfit(taken[book.now], again.returns, 1, w=np.sqrt(weights))[0]
    assert line.slope == pytest.approx(expected, rel=1e-9)
    assert np.mean(slopes) == pytest.approx(0.7, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.15)
    assert book.line(np.full(len(book.rows), 0.3), 1).slope == 0.0


def test_labels_of_several_bars_are_traded_in_parts(
    make_spec: SpecMaker, tmp_path: Path, overlapping: Panel
) -> None:
    """With labels of five bars and overlap weights there is a model with skill on rows no one has seen."""
    where = {"panel_path": overlapping.path, "panel_key": overlapping.key, "target": "fwd_ret_5d"}
    metrics = bundle_of(make_spec(family=FAMILY, **where), tmp_path).card["metrics"]
    assert metrics["error_reduction"] > 0.01
    assert metrics["beats_no_skill"]


def test_dearer_trading_means_slower_signals_and_less_trading(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Of a fast and a slow signal the slow one is followed more as the cost of a change grows."""
    frames = {}
    for place, symbol in enumerate(SYMBOLS):
        frame = symbol_frame(symbol, place)[["date", "f0", "f1", "fwd_ret_1d"]]
        slow, steps = np.zeros(len(frame)), np.random.default_rng([place, 8]).standard_normal(len(frame))
        for day in range(1, len(frame)):
            slow[day] = 0.97 * slow[day - 1] + 0.243 * steps[day]
        frame["f1"] = slow.astype(np.float32)
        frame["fwd_ret_1d"] = (0.5 * frame["f0"] + 0.4 * slow + steps[::-1]).astype(np.float32)
        frames[symbol] = frame
    panel = write_panel(tmp_path, frames)
    restless = []
    for cost in (0.0, 0.2, 0.4):
        params = {"cost_bps": 0.0, "cost_share": cost, "hidden": 0}
        spec = make_spec(family=FAMILY, params=params, panel_path=panel.path, panel_key=panel.key)
        told = outline_of(bundle_of(spec, tmp_path / str(cost)))["reward"]
        restless.append(told["valid_turnover"] / told["valid_position_size"])
    assert restless[0] > 1.3 * restless[1]
    assert restless[1] > 1.3 * restless[2]


def test_costs_can_be_given_in_either_unit(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Basis points of the label's own unit and a share of its spread are the same where they should be."""
    spec = make_spec(family=FAMILY, params={"cost_bps": 30.0, "cost_share": 0.0, "steps": 5})
    first = outline_of(bundle_of(spec, tmp_path / "points"))
    assert first["reward"]["cost"] == pytest.approx(0.003)
    share = first["reward"]["cost_in_label_scales"]
    assert share == pytest.approx(0.003 / first["labels"]["scale"])
    spec = replace(spec, params={"cost_bps": 0.0, "cost_share": share, "steps": 5})
    assert outline_of(bundle_of(spec, tmp_path / "share"))["reward"] == first["reward"]


def test_the_unit_of_the_label_makes_no_difference(make_spec: SpecMaker, tmp_path: Path) -> None:
    """By default the cost goes with the label's spread: tiny labels are traded like large ones."""
    taken = []
    for name, size in (("large", 1.0), ("tiny", 2.0**-20)):
        frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
        for frame in frames.values():
            frame["fwd_ret_1d"] *= np.float32(size)
        panel = write_panel(tmp_path / name, frames)
        spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key, params={"steps": 30})
        bundle = bundle_of(spec, tmp_path / name)
        taken.append(positions(bundle.files, outline_of(bundle), panel, np.arange(panel.rows)))
    np.testing.assert_allclose(taken[0], taken[1], atol=1e-4)
    assert taken[0].std() > 0.05


def test_excess_takes_the_drift_out_of_what_is_rewarded(make_spec: SpecMaker, tmp_path: Path) -> None:
    """In a market that only rises, being long is rewarded with excess 0 alone."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["fwd_ret_1d"] = frame["y_noise_1d"] + 0.02
    panel = write_panel(tmp_path, frames)
    means = []
    for excess in (0, 1):
        params = {"excess": excess, "patience": 400}
        spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key, params=params)
        means.append(outline_of(bundle_of(spec, tmp_path / str(excess)))["calibration"]["mean_position"])
    assert means[0] > 0.1
    assert abs(means[1]) < 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_found_in_noise(make_spec: SpecMaker, tmp_path: Path, seed: int) -> None:
    """A target that nothing can say is predicted as its mean, or nearly."""
    frames = {symbol: symbol_frame(symbol, 10 * seed + place) for place, symbol in enumerate(SYMBOLS)}
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, target="y_noise_1d", panel_path=panel.path, panel_key=panel.key)
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    assert abs(metrics["error_reduction"]) < 0.02
    assert not metrics["beats_no_skill"]


def test_classes_are_refused_with_the_reason(make_spec: SpecMaker) -> None:
    """A position earns a return, and a class is none."""
    with pytest.raises(BadInput, match="a position earns a return, and a class is none"):
        outcome_of(make_spec(family=FAMILY, target="y_up_1d"))


def test_a_fit_killed_or_stopped_anywhere_gives_the_same_bytes(make_spec: SpecMaker, tmp_path: Path) -> None:
    """After every state it saves, and when asked to stop at several steps."""
    spec = make_spec(family=FAMILY, checkpoint_rounds=7, params={"steps": 40})
    bundle_of(spec, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "bundle")
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths == 5
    assert got == expected
    got, stops = stopped_at(spec, tmp_path / "stopped", [1, 3, 17])
    assert stops == [0, 2, 18]
    assert got == expected


def test_a_state_without_adam_s_averages_is_found_out(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth: without them the next steps are others."""
    spec = make_spec(family=FAMILY, checkpoint_rounds=7, params={"steps": 20})
    bundle_of(spec, tmp_path / "whole")
    monkeypatch.setattr(Adam, "restore", lambda self, state: None)
    got, _ = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert got != contents(tmp_path / "whole" / "bundle")


def test_threads_and_processes_make_no_difference(make_spec: SpecMaker, tmp_path: Path, panel: Panel) -> None:
    """A fresh process on two threads predicts the same bits, with no training library loaded."""
    bundle = bundle_of(make_spec(family=FAMILY, params={"steps": 40}), tmp_path)
    rows = np.arange(2000, 2900, 7)[::-1].copy()
    got, foreign = predicted_elsewhere(tmp_path / "bundle", panel, rows)
    assert got == bundle.predict(panel, np.arange(panel.rows))[rows].tobytes()
    assert foreign == "[]"


def test_the_future_changes_no_prediction_and_no_model(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel
) -> None:
    """Other features and labels in the last fifth: the same model, and the same bits for earlier rows."""
    spec = make_spec(family=FAMILY, params={"steps": 60})
    before = bundle_of(spec, tmp_path / "before")
    other = with_another_future(tmp_path / "other", days=400, columns=("f0", "f1", "fwd_ret_1d"))
    after = bundle_of(replace(spec, panel_path=other.path, panel_key=other.key), tmp_path / "after")
    for name in ("model.safetensors", PREPROCESSING):
        assert before.files[name] == after.files[name]
    earlier = np.concatenate([np.arange(own.start, own.start + 400) for own in map(panel.rows_of, SYMBOLS)])
    np.testing.assert_array_equal(after.predict(other, earlier), before.predict(panel, earlier))


def test_features_that_say_nothing_or_are_missing_are_borne(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A constant feature, one without a single value, and one symbol alone get through to a model."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["f4"] = 1.0
        frame.loc[frame.index[5:], "f5"] = np.nan
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key)
    assert isinstance(outcome_of(spec), Succeeded)
    alone = replace(spec, training_type="symbol_specific", symbol="BBB", bundle_path=tmp_path / "alone")
    assert isinstance(outcome_of(alone), Succeeded)
