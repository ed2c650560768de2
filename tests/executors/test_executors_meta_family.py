"""MetaLearning: an initialisation that adapts, on panels where symbols want opposite things."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
from safetensors.numpy import load

from executors.bundle import PREPROCESSING, Bundle
from executors.contract import FitSpec, Succeeded
from executors.cpu.links import answers
from executors.cpu.maml import RATE, adapted, bounded, loss_and_slopes, with_rates
from executors.cpu.meta_family import _Practice
from executors.cpu.meta_tasks import Samples, Tasks, practice_rows, tasks_of
from executors.cpu.tanh_net import exact_scores, fresh_weights
from executors.dataset import fit_data
from executors.errors import BadInput
from executors.estimating import Arrays
from executors.parameters import settings
from executors.preprocessing import LabelCode, Standardisation
from executors.trainers import trainer_of
from executors.weights import SHARED_PARAMETERS
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "MetaLearning"
TARGETS = ("fwd_ret_1d", "y_up_1d", "y_class_1d")
QUICK = {"steps": 6, "episode_batches": 3, "shots": 40, "queries": 40}
SHORTER = {"steps": 20, "patience": 8, "episodes": 6, "hidden": 12}


def opposite_frame(symbol: str, place: int) -> pd.DataFrame:
    """Return a frame in which f0 says up for even places and down for odd ones."""
    frame = symbol_frame(symbol, place)
    noise = np.random.default_rng([place, 77]).standard_normal(len(frame))
    sign = 0.6 if place % 2 == 0 else -0.6
    frame["fwd_ret_1d"] = (0.01 * (sign * frame["f0"] + noise)).astype(np.float32)
    frame["y_up_1d"] = (frame["fwd_ret_1d"] > 0).astype(np.float32)
    frame["y_class_1d"] = np.digitize(frame["fwd_ret_1d"], [-0.005, 0.005]).astype(np.float32)
    return frame


@pytest.fixture(scope="module")
def opposite(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Six symbols that have a feature in common, and its sign not."""
    frames = {symbol: opposite_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    return write_panel(tmp_path_factory.mktemp("opposite"), frames)


def on(panel: Panel, **changes: Any) -> dict[str, Any]:
    """Return the fields of a spec of this family on another panel."""
    return {"family": FAMILY, "panel_path": panel.path, "panel_key": panel.key, **changes}


def alone(symbol: str) -> dict[str, Any]:
    """Return the fields of a fit of one symbol."""
    return {"training_type": "symbol_specific", "symbol": symbol}


def outline_of(bundle: Bundle) -> dict[str, Any]:
    """Return what the model's predictions need to know."""
    return dict(json.loads(bundle.files[PREPROCESSING]))


def tasks_for(spec: FitSpec) -> Tasks:
    """Return the tasks of a fit."""
    data = fit_data(spec)
    params = settings(FAMILY, {**trainer_of(FAMILY).PARAMETERS, **SHARED_PARAMETERS}, spec.params)
    standardisation = Standardisation.fitted(data.features_at(practice_rows(spec, data)))
    return tasks_of(spec, data, params, standardisation)


def samples(random: np.random.Generator, rows: int) -> Samples:
    """Return rows of three tasks with uneven weights."""
    weights = random.uniform(0.1, 1.0, (3, rows))
    return Samples(
        features=random.standard_normal((3, rows, 4)),
        labels=random.integers(0, 2, (3, rows)).astype(np.float64),
        weights=weights / weights.sum(axis=1, keepdims=True),
    )


def learnt_at_random(random: np.random.Generator, outputs: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return weights with nothing special about them, and rates that differ."""
    fresh = with_rates(fresh_weights(4, 3, outputs, seed=1), 0.3)
    return {name: array + 0.3 * random.standard_normal(array.shape) for name, array in fresh.items()}


@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("binary", 1), ("multiclass", 2)])
def test_slopes_are_those_of_the_loss_after_adaptation_to_first_order(task: str, outputs: int) -> None:
    """Finite differences agree where the slopes gone during adaptation are held as they were."""
    random = np.random.default_rng(5)
    learnt, shots, queries = learnt_at_random(random, outputs), samples(random, 9), samples(random, 7)
    _, gone = adapted(task, learnt, shots, 3)

    def held(of: dict[str, np.ndarray[Any, Any]]) -> float:
        moved = {name: of[name] - np.exp(of[RATE + name][0]) * gone[name] for name in gone}
        of_tasks = []
        for place in range(3):
            own = {name: array[place] for name, array in moved.items()}
            one = Samples(
                features=queries.features[place : place + 1],
                labels=queries.labels[place : place + 1],
                weights=queries.weights[place : place + 1],
            )
            of_tasks.append(loss_and_slopes(task, with_rates(own, 0.1), one, one, 0)[0])
        return float(np.mean(of_tasks))

    loss, slopes = loss_and_slopes(task, learnt, shots, queries, 3)
    assert loss == pytest.approx(held(learnt), rel=1e-10)
    assert set(slopes) == set(learnt)
    for name, array in learnt.items():
        for place in np.ndindex(array.shape):
            step = np.zeros(array.shape)
            step[place] = 1e-6
            high, low = ({**learnt, name: array + sign * step} for sign in (1, -1))
            assert slopes[name][place] == pytest.approx((held(high) - held(low)) / 2e-6, abs=1e-7)


def test_each_task_is_adapted_to_its_own_rows_alone() -> None:
    """All at once or one by one, the adapted weights are the same and fit their shots better than before."""
    random = np.random.default_rng(6)
    learnt, shots = learnt_at_random(random, 1), samples(random, 30)
    together, _ = adapted("regression", learnt, shots, 5)
    before, after = [], []
    for place in range(3):
        own = slice(place, place + 1)
        one = Samples(features=shots.features[own], labels=shots.labels[own], weights=shots.weights[own])
        single, _ = adapted("regression", learnt, one, 5)
        for name, array in single.items():
            np.testing.assert_allclose(array[0], together[name][place], rtol=1e-9)
        before.append(loss_and_slopes("regression", learnt, one, one, 0)[0])
        after.append(loss_and_slopes("regression", learnt, one, one, 5)[0])
    assert all(low < high for low, high in zip(after, before, strict=True))


def test_rates_stay_within_their_bounds() -> None:
    """However far a correction goes, adaptation neither explodes nor turns round."""
    far = {"out": np.array([99.0]), RATE + "out": np.array([99.0]), RATE + "into": np.array([-99.0])}
    kept = bounded(far)
    assert kept["out"][0] == 99.0
    assert np.exp([kept[RATE + "out"][0], kept[RATE + "into"][0]]) == pytest.approx([1.0, 1e-4])


def test_an_episode_is_tried_on_what_comes_after_what_it_was_adapted_to(
    make_spec: SpecMaker, panel: Panel
) -> None:
    """One symbol each, in time, with the label's span between, drawn anew by the seed and never beyond."""
    spec = make_spec(family=FAMILY, params={"shots": 50, "queries": 30})
    tasks = tasks_for(spec)
    places = np.arange(len(tasks.labels), dtype=np.float64)
    tasks = replace(tasks, labels=places)  # a label that says which row it is
    seen = set()
    for seed in range(30):
        shots, queries = tasks.episodes(4, seed)
        for own, after in zip(shots.labels, queries.labels, strict=True):
            np.testing.assert_array_equal(np.diff(own), 1)
            assert after[0] == own[-1] + 1 + tasks.gap
            assert len(after) == 30
            task = np.searchsorted(tasks.starts, own[0], side="right") - 1
            assert after[-1] < tasks.starts[task + 1]
            seen.add(int(task))
        np.testing.assert_allclose(shots.weights.sum(axis=1), 1.0)
    assert seen == set(range(6))
    again = tasks.episodes(4, 29)[0].labels
    np.testing.assert_array_equal(again, shots.labels)
    assert not np.array_equal(tasks.episodes(4, 28)[0].labels, shots.labels)
    newest = tasks.newest(np.arange(6))
    np.testing.assert_array_equal(newest.labels[:, -1], tasks.starts[1:] - 1)


def test_a_symbol_with_few_rows_is_adapted_to_those_it_has(make_spec: SpecMaker) -> None:
    """Rows that are lacking count nothing, and no episode is cut from it."""
    tasks = tasks_for(make_spec(family=FAMILY, params={"shots": 50, "queries": 30}))
    short = replace(tasks, starts=np.array([0, 20, *tasks.starts[2:].tolist()]))
    newest = short.newest(np.array([0]))
    assert np.count_nonzero(newest.weights) == 20
    np.testing.assert_array_equal(newest.labels[0, -20:], short.labels[:20])
    assert 0 not in short.long_enough


def test_one_symbol_s_fit_practises_on_the_past_of_the_others(make_spec: SpecMaker, panel: Panel) -> None:
    """Row by row: its own training rows, and of others what ends, embargo included, before its validation."""
    spec = make_spec(family=FAMILY, target="y_noise_1d", **alone("BBB"))
    data = fit_data(spec)
    until = panel.time_codes[data.valid[0]]
    expected = list(data.train)
    for row in range(panel.rows):
        symbol = panel.symbols[panel.symbol_codes[row]]
        ends = row + 1
        if symbol == "BBB" or ends >= panel.rows_of(symbol).stop or np.isnan(panel.values("y_noise_1d")[row]):
            continue
        if panel.time_codes[ends] + 1 < until:
            expected.append(row)
    np.testing.assert_array_equal(practice_rows(spec, data), np.sort(expected))
    own = data.train[panel.symbol_codes[data.train] == 1]
    assert 5 * len(own) < len(expected) - len(own) + 60


@pytest.mark.parametrize("target", TARGETS)
def test_symbols_that_want_opposite_things_get_them(
    make_spec: SpecMaker, tmp_path: Path, opposite: Panel, target: str
) -> None:
    """Each symbol's weights follow its own sign, as no common model can; a stranger gets the initial ones."""
    bundle = bundle_of(make_spec(**on(opposite, target=target, params=SHORTER)), tmp_path)
    assert bundle.card["metrics"]["error_reduction"] > 0.04
    assert bundle.card["metrics"]["beats_no_skill"]
    named = write_panel(tmp_path / "named", {name: opposite_frame(name, 0) for name in ("AAA", "BBB", "XXX")})
    f0 = named.values("f0")
    predicted = bundle.predict(named, np.arange(named.rows)).reshape(named.rows, -1)[:, -1]
    likeness = [np.corrcoef(predicted[own], f0[own])[0, 1] for own in map(named.rows_of, named.symbols)]
    assert likeness[0] > 0.8
    assert likeness[1] < -0.8
    assert outline_of(bundle)["symbols"] == list(SYMBOLS)
    initial = {name: a for name, a in load(bundle.files["model.safetensors"]).items() if "." not in name}
    stranger = named.rows_of("XXX")
    standardisation = Standardisation.from_json(outline_of(bundle)["standardisation"])
    ready = standardisation.applied(named.matrix(named.feature_names, stranger)).astype(np.float64)
    labels = LabelCode.from_json(outline_of(bundle)["labels"])
    expected = labels.decoded(answers(labels.task, exact_scores(initial, ready)))
    np.testing.assert_array_equal(predicted[stranger], expected.reshape(500, -1)[:, -1])


@pytest.mark.parametrize("target", TARGETS)
def test_one_symbol_is_learnt_with_the_help_of_the_others(
    make_spec: SpecMaker, tmp_path: Path, opposite: Panel, target: str
) -> None:
    """A fit of one symbol finds its own sign, and holds weights of this symbol alone."""
    bundle = bundle_of(make_spec(**on(opposite, target=target, params=SHORTER, **alone("BBB"))), tmp_path)
    assert bundle.card["metrics"]["error_reduction"] > 0.03
    assert outline_of(bundle)["symbols"] == ["BBB"]


def test_adaptation_grows_where_symbols_differ_and_fades_where_they_do_not(
    make_spec: SpecMaker, tmp_path: Path, opposite: Panel
) -> None:
    """The learnt rates tell a panel of opposites from one of a kind."""
    params = {**SHORTER, "steps": 20, "patience": 20}
    differing = bundle_of(make_spec(**on(opposite, params=params)), tmp_path / "opposite")
    alike = bundle_of(make_spec(family=FAMILY, params=params), tmp_path / "alike")
    rates = [outline_of(bundle)["rates"]["into"] for bundle in (differing, alike)]
    assert rates[0] > 1.5 * rates[1]


def test_what_all_symbols_share_is_found(make_spec: SpecMaker, tmp_path: Path) -> None:
    """The usual planted target, which needs no adaptation, is found as well."""
    metrics = bundle_of(make_spec(family=FAMILY), tmp_path).card["metrics"]
    assert metrics["error_reduction"] > 0.08


def test_a_panel_of_one_symbol_gives_blocks_of_time_as_tasks(make_spec: SpecMaker, tmp_path: Path) -> None:
    """With nobody to learn from but its own past, there is still a model with skill."""
    panel = write_panel(tmp_path, {"AAA": symbol_frame("AAA", 3, days=1000)})
    for more in ({}, alone("AAA")):
        spec = make_spec(**on(panel, params=SHORTER, **more))
        assert bundle_of(spec, tmp_path / str(len(more))).card["metrics"]["error_reduction"] > 0.02


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_found_in_noise(make_spec: SpecMaker, tmp_path: Path, seed: int) -> None:
    """A target that nothing can say is predicted as its mean, or nearly."""
    frames = {symbol: symbol_frame(symbol, 10 * seed + place) for place, symbol in enumerate(SYMBOLS)}
    panel = write_panel(tmp_path, frames)
    metrics = bundle_of(make_spec(**on(panel, target="y_noise_1d", params={"patience": 5})), tmp_path).card[
        "metrics"
    ]
    assert abs(metrics["error_reduction"]) < 0.02
    assert not metrics["beats_no_skill"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_killed_or_stopped_anywhere_gives_the_same_bytes(
    make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """After every state it saves, and when asked to stop at several steps."""
    spec = make_spec(family=FAMILY, target=target, checkpoint_rounds=2, params=QUICK)
    bundle_of(spec, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "bundle")
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths == 2
    assert got == expected
    got, stops = stopped_at(spec, tmp_path / "stopped", [1, 3, 3])
    assert stops == [0, 2, 4]
    assert got == expected


def test_a_state_without_the_rates_is_found_out(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth: rates that begin anew lead elsewhere."""
    spec = make_spec(family=FAMILY, checkpoint_rounds=2, params=QUICK)
    bundle_of(spec, tmp_path / "whole")
    restore = _Practice.restore

    def forgetful(self: _Practice, state: Arrays) -> None:
        fresh = {name: array for name, array in self.model().items() if name.startswith(RATE)}
        restore(self, {**state, **fresh})

    monkeypatch.setattr(_Practice, "restore", forgetful)
    got, _ = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert got != contents(tmp_path / "whole" / "bundle")


def test_a_fresh_process_predicts_the_same_bits(make_spec: SpecMaker, tmp_path: Path, panel: Panel) -> None:
    """A few rows backwards on two threads, with no training library loaded."""
    bundle = bundle_of(make_spec(family=FAMILY, target="y_class_1d", params=QUICK), tmp_path)
    rows = np.arange(1100, 2900, 7)[::-1].copy()
    got, foreign = predicted_elsewhere(tmp_path / "bundle", panel, rows)
    assert got == bundle.predict(panel, np.arange(panel.rows))[rows].tobytes()
    assert foreign == "[]"


def test_a_row_s_scores_are_the_network_s() -> None:
    """The exact way to predict is the network that was trained."""
    random = np.random.default_rng(1)
    weights = {n: a + random.standard_normal(a.shape) for n, a in fresh_weights(3, 5, 2, seed=2).items()}
    rows = random.standard_normal((8, 3))
    by_hand = np.tanh(rows @ weights["into"] + weights["into_bias"]) @ weights["out"] + weights["out_bias"]
    np.testing.assert_allclose(exact_scores(weights, rows), by_hand, rtol=1e-12)


@pytest.mark.parametrize("symbol", [None, "BBB"])
def test_the_future_changes_no_prediction_and_no_model(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel, symbol: str | None
) -> None:
    """Other features and labels in the last fifth: the same model, and the same bits for earlier rows."""
    spec = make_spec(family=FAMILY, params=QUICK, **(alone(symbol) if symbol else {}))
    before = bundle_of(spec, tmp_path / "before")
    other = with_another_future(tmp_path / "other", days=400, columns=("f0", "f1", "fwd_ret_1d"))
    after = bundle_of(replace(spec, panel_path=other.path, panel_key=other.key), tmp_path / "after")
    for name in ("model.safetensors", PREPROCESSING):
        assert before.files[name] == after.files[name]
    earlier = np.concatenate([np.arange(own.start, own.start + 400) for own in map(panel.rows_of, SYMBOLS)])
    np.testing.assert_array_equal(after.predict(other, earlier), before.predict(panel, earlier))


def test_the_others_validation_part_teaches_one_symbol_nothing(make_spec: SpecMaker, tmp_path: Path) -> None:
    """From the bar on where labels could reach its validation, other symbols may be anything; before not."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    models = []
    for name, day in (("as-it-was", 500), ("later", 323), ("earlier", 322)):
        changed = {symbol: frame.copy() for symbol, frame in frames.items()}
        for symbol in set(SYMBOLS) - {"BBB"}:
            changed[symbol].loc[day:, ["f0", "fwd_ret_1d"]] = np.float32(0.5)
        panel = write_panel(tmp_path / name, changed)
        spec = make_spec(**on(panel, params=QUICK, **alone("BBB")))
        files = bundle_of(spec, tmp_path / name).files
        models.append((files["model.safetensors"], files[PREPROCESSING]))
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_too_short_a_history_is_refused_in_words(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Many symbols with a handful of rows each leave nothing to practise on."""
    frames = {f"S{place:02d}": symbol_frame("S", place, days=18) for place in range(12)}
    for frame in frames.values():
        frame.loc[:9, "y_noise_1d"] = 0.01
    panel = write_panel(tmp_path, frames)
    with pytest.raises(BadInput, match="no symbol has 11 training rows to learn to learn from"):
        outcome_of(make_spec(**on(panel)))


def test_features_that_say_nothing_or_are_missing_are_borne(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Constant features, such without a value and late listings get through to a model."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["f4"] = 1.0
        frame.loc[frame.index[5:], "f5"] = np.nan
    frames["CCC"] = frames["CCC"].iloc[310:].reset_index(drop=True)
    frames["DDD"] = frames["DDD"].iloc[390:].reset_index(drop=True)
    panel = write_panel(tmp_path, frames)
    spec = make_spec(**on(panel, params=QUICK))
    assert isinstance(outcome_of(spec), Succeeded)
