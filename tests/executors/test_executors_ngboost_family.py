"""NGBoost: the library's own boosting in chunks, its trees as arrays, a distribution a row."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_children import contents
from executor_fits import (
    Killed,
    bundle_of,
    killed_after_every_checkpoint,
    outcome_of,
    predicted_elsewhere,
    stopped_at,
    with_another_future,
)
from executor_panels import SYMBOLS, symbol_frame, write_panel
from ngboost import NGBClassifier, NGBRegressor
from ngboost.distns import k_categorical
from scipy.stats import norm
from sklearn.tree import DecisionTreeRegressor

from executors.bundle import PREPROCESSING, Bundle, load_bundle
from executors.contract import Checkpointed, FitSpec, Report, Succeeded
from executors.cpu.ngboost_growth import NaturalGradient
from executors.cpu.ngboost_model import Grown
from executors.cpu.regression_trees import TreeArrays
from executors.dataset import fit_data
from executors.errors import BadInput
from executors.parameters import settings
from executors.session import Session
from executors.trainers import trainer_of
from executors.weights import SHARED_PARAMETERS
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "NGBoost"
TARGETS = ("fwd_ret_1d", "y_up_1d", "y_class_1d")
SMALL: dict[str, Any] = {"rounds": 24, "chunk_rounds": 6, "patience": 24, "learning_rate": 0.1}
FIT = DecisionTreeRegressor.fit
RANDOM = np.random.default_rng(3)
FEATURES = RANDOM.standard_normal((900, 5)).astype(np.float32)
FEATURES[RANDOM.random(FEATURES.shape) < 0.1] = np.nan
LABELS = np.nan_to_num(FEATURES[:, 0]) + 0.5 * RANDOM.standard_normal(900)


def quantiles_of(bundle: Bundle, panel: Panel, rows: np.ndarray) -> np.ndarray:
    """Return what the family says of the label's quantiles."""
    trainer: Any = trainer_of(FAMILY)
    outline = json.loads(bundle.files[PREPROCESSING])
    return np.asarray(trainer.quantiles(bundle.files, outline, panel, rows))


def noting(losses: list[float]) -> Callable[[float, float], bool]:
    """Return what writes the validation losses down and always wants more rounds."""

    def after_round(train_loss: float, valid_loss: float) -> bool:
        del train_loss
        losses.append(valid_loss)
        return False

    return after_round


def session_of(spec: FitSpec) -> Session:
    """Return a session outside of any fit."""
    table = {**trainer_of(FAMILY).PARAMETERS, **SHARED_PARAMETERS}
    return Session(
        spec=spec,
        data=fit_data(spec),
        params=settings(FAMILY, table, spec.params),
        versions={},
        tell=lambda report: None,
        should_stop=lambda: False,
    )


@pytest.mark.parametrize(
    ("depth", "columns"), [(1, [3]), (3, [0, 1, 2]), (8, [4, 0]), (None, [0, 1, 2, 3, 4])]
)
def test_a_tree_as_arrays_answers_like_the_library_bit_for_bit(depth: int | None, columns: list[int]) -> None:
    """Missing values, thresholds that rows lie on, columns left out: every row ends in the same leaf."""
    places = np.array(columns, dtype=np.int64)
    tree = DecisionTreeRegressor(max_depth=depth, random_state=1).fit(FEATURES[:, places], LABELS)
    arrays = TreeArrays.fitted([(tree, places)])
    asked = np.random.default_rng(4).standard_normal((2000, 5)).astype(np.float32)
    asked[:900] = FEATURES
    asked[1000::3, columns[0]] = np.nan
    splits = tree.tree_.threshold[tree.tree_.children_left >= 0].astype(np.float32)
    splits = splits[np.isfinite(splits)]  # at infinity a node tells what is missing from all else
    asked[900 : 900 + min(50, len(splits)), columns[0]] = splits[:50]
    expected = tree.predict(asked[:, places])
    assert arrays.answers(asked, slice(0, 1))[:, 0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("task", ["regression", "classes"])
def test_a_model_as_arrays_says_what_the_library_says_bit_for_bit(task: str) -> None:
    """Rows and columns sampled, some rounds kept or all: the parameters are the library's."""
    options: dict[str, Any] = {
        "n_estimators": 12, "minibatch_frac": 0.5, "col_sample": 0.6, "random_state": 1, "verbose": False
    }  # fmt: skip
    if task == "regression":
        model: Any = NGBRegressor(**options).fit(FEATURES, LABELS)
    else:
        model = NGBClassifier(Dist=k_categorical(3), **options)
        model.fit(FEATURES, np.digitize(LABELS, [-0.4, 0.4]))
    pairs = zip(model.base_models, model.col_idxs, strict=True)
    trees = TreeArrays.fitted([(tree, columns) for of_round, columns in pairs for tree in of_round])
    grown = Grown(initial=np.asarray(model.init_params), scalings=np.array(model.scalings), trees=trees)
    read = Grown.from_bytes(grown.to_bytes())
    for rounds in (5, 12):
        expected = model.pred_param(FEATURES, max_iter=rounds)
        assert read.first(rounds).parameters(FEATURES, model.learning_rate).tobytes() == expected.tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_chunks_are_the_library_s_boosting_in_one_go(make_spec: SpecMaker, target: str) -> None:
    """Without sampling, weights or ties, three chunks of four rounds are twelve rounds of the library."""
    params = {"row_share": 1.0, "feature_share": 1.0, "overlap_weights": 0, "min_leaf_rows": 20}
    session = session_of(make_spec(family=FAMILY, target=target, params=params))
    data, engine = session.data, NaturalGradient(session)
    losses: list[float] = []
    for seed in (1, 2, 3):
        engine.grow(rounds=4, seed=seed, after_round=noting(losses))
    base = DecisionTreeRegressor(max_depth=3, min_samples_leaf=20, random_state=1)
    options: dict[str, Any] = {"Base": base, "n_estimators": 12, "learning_rate": 0.05, "verbose": False}
    labels, judged = (data.encoded_at(rows) for rows in (data.train, data.valid))
    if target == "fwd_ret_1d":
        whole: Any = NGBRegressor(**options)
    else:
        whole = NGBClassifier(Dist=k_categorical(len(data.code.classes)), **options)
        labels, judged = labels.astype(int), judged.astype(int)
    rows = data.features_at(data.valid)
    whole.fit(data.features_at(data.train), labels, X_val=rows, Y_val=judged)
    np.testing.assert_allclose(engine.model.parameters(rows, 0.05), whole.pred_param(rows), atol=1e-6)
    np.testing.assert_allclose(losses, whole.evals_result["val"]["LOGSCORE"], atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_it_finds_what_is_planted(make_spec: SpecMaker, tmp_path: Path, target: str) -> None:
    """Numbers, two classes and three: better than the constant on rows no one has seen."""
    card = bundle_of(make_spec(family=FAMILY, target=target, params={"rounds": 60}), tmp_path).card
    assert card["metrics"]["error_reduction"] > 0.03
    assert card["metrics"]["score"] > (0.25 if target == "fwd_ret_1d" else 0.6)
    assert card["importances"]["f0"] == max(card["importances"].values())


def test_it_finds_nothing_in_noise(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Stopped early, it says little more than the marginal distribution."""
    spec = make_spec(family=FAMILY, target="y_noise_1d", params={"learning_rate": 0.1})
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    assert metrics["error_reduction"] < 0.02
    assert abs(metrics["score"]) < 0.1


@pytest.mark.parametrize("target", TARGETS)
def test_a_killed_fit_ends_in_the_bytes_of_an_untouched_one(
    make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Killed after every state, and stopped inside chunks: model, card and predictions are the same files."""
    spec = make_spec(family=FAMILY, target=target, params=SMALL, checkpoint_rounds=6)
    bundle_of(spec, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "bundle")
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert (got, deaths) == (expected, 3)
    got, stops = stopped_at(spec, tmp_path / "stopped", [4, 10, 12])
    assert got == expected
    assert stops == sorted(stops)
    assert len(stops) == 3


def test_a_fit_whose_seed_counts_calls_is_found_out(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth."""
    spec = make_spec(family=FAMILY, params=SMALL, checkpoint_rounds=6)

    def of_a_new_process() -> None:
        calls = itertools.count(1)
        monkeypatch.setattr(Session, "seed", lambda self, *parts: next(calls))

    def dying(report: Report) -> None:
        if isinstance(report, Checkpointed):
            raise Killed

    of_a_new_process()
    expected = bundle_of(spec, tmp_path / "whole").files["model.safetensors"]
    of_a_new_process()
    with pytest.raises(Killed):
        outcome_of(spec, dying)
    of_a_new_process()
    assert isinstance(outcome_of(replace(spec, fence=2)), Succeeded)
    assert load_bundle(spec.bundle_path).files["model.safetensors"] != expected


def test_a_fresh_process_predicts_the_recorded_bits_without_the_library(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """Asked for all rows together, for some, elsewhere: the same bits; neither library is loaded for it."""
    spec = make_spec(family=FAMILY, target="y_class_1d", params=SMALL)
    bundle = bundle_of(spec, tmp_path)
    rows = fit_data(spec).test
    together = bundle.predict(panel, rows)
    assert together.tobytes() == bundle.predictions().probabilities.tobytes()
    apart = np.concatenate([bundle.predict(panel, rows[start : start + 7]) for start in range(0, 70, 7)])
    assert apart.tobytes() == together[:70].tobytes()
    elsewhere, foreign = predicted_elsewhere(tmp_path / "bundle", panel, rows)
    assert elsewhere == together.tobytes()
    assert foreign == "[]"


def test_another_future_changes_no_earlier_prediction(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """Features and labels after the last test row's day may be anything."""
    columns = [*panel.feature_names, "fwd_ret_1d"]
    other = with_another_future(tmp_path / "other", days=495, columns=columns)
    bundle = bundle_of(make_spec(family=FAMILY, params=SMALL), tmp_path)
    rows = np.flatnonzero(panel.time_codes < 495)
    assert bundle.predict(other, rows).tobytes() == bundle.predict(panel, rows).tobytes()
    assert quantiles_of(bundle, other, rows).tobytes() == quantiles_of(bundle, panel, rows).tobytes()


def test_quantiles_are_of_the_row_s_scale_and_come_true(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Of labels that are far from normal: in the shape of the validation rows', around the mean predicted."""
    frames = {s: symbol_frame(s, place, days=1500) for s, place in zip(SYMBOLS, range(6), strict=True)}
    for place, frame in enumerate(frames.values()):
        noise = np.random.default_rng([place, 6]).exponential(0.02, len(frame))
        frame["fwd_ret_1d"] = (noise * np.exp(0.4 * frame["f4"])).astype(np.float32)
    panel = write_panel(tmp_path, frames)
    params = {"rounds": 40, "learning_rate": 0.1}
    spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key, params=params)
    bundle, data = bundle_of(spec, tmp_path / "fit"), fit_data(spec)
    found = quantiles_of(bundle, panel, data.test).astype(np.float64)
    assert np.all(np.diff(found, axis=1) >= 0)
    shape = np.diff(found, axis=1) / np.diff(found, axis=1)[:, :1]
    np.testing.assert_allclose(shape, np.broadcast_to(shape[0], shape.shape), rtol=1e-3)
    levels = np.array(trainer_of(FAMILY).QUANTILES)  # type: ignore[attr-defined]
    coverage = (data.labels_at(data.test)[:, None] <= found).mean(axis=0)
    np.testing.assert_allclose(coverage, levels, atol=0.03)
    mean = bundle.predict(panel, data.test).astype(np.float64)
    normal = mean[:, None] + (found[:, 4:] - found[:, :1]) / 3.29 * norm.ppf(levels)
    of_normal = (data.labels_at(data.test)[:, None] <= normal).mean(axis=0)
    assert np.abs(of_normal - levels).max() > 0.1  # which the library's own quantiles would be


def test_the_scale_follows_what_makes_labels_spread(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Where a feature doubles the noise, the distribution is wider; a mean alone would not know."""
    frames = {s: symbol_frame(s, place) for place, s in enumerate(SYMBOLS)}
    for place, frame in enumerate(frames.values()):
        noise = np.random.default_rng([place, 5]).standard_normal(len(frame))
        frame["fwd_ret_1d"] = (noise * np.where(frame["f4"] > 0, 0.03, 0.01)).astype(np.float32)
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, panel_path=panel.path, panel_key=panel.key, params={"rounds": 60})
    bundle, data = bundle_of(spec, tmp_path / "fit"), fit_data(spec)
    found = quantiles_of(bundle, panel, data.test)
    width = found[:, 4] - found[:, 0]
    is_wild = panel.values("f4")[data.test] > 0
    assert width[is_wild].mean() > 2 * width[~is_wild].mean()


def test_weights_of_rows_and_classes_reach_the_library(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Balanced classes give another model, whose probabilities are still those of the data."""
    spec = make_spec(family=FAMILY, target="y_class_1d", params=SMALL)
    plain = bundle_of(spec, tmp_path / "plain")
    even = bundle_of(replace(spec, params={**SMALL, "class_balance": 1.0}), tmp_path / "even")
    assert plain.files["model.safetensors"] != even.files["model.safetensors"]
    shares = [bundle.predictions().probabilities.mean(axis=0) for bundle in (plain, even)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.06)


def test_a_round_fits_its_trees_on_so_many_rows_at_most(make_spec: SpecMaker) -> None:
    """The root of every tree holds the batch, whichever of share and number is less."""
    for params, rows in (({"batch_rows": 300}, 300), ({"batch_rows": 10**6, "row_share": 0.25}, None)):
        session = session_of(make_spec(family=FAMILY, params=params))
        expected = rows or int(0.25 * len(session.data.train))
        sizes: list[int] = []

        def counted(self: Any, features: Any, *given: Any, sizes: list[int] = sizes, **named: Any) -> Any:
            sizes.append(len(features))
            return FIT(self, features, *given, **named)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(DecisionTreeRegressor, "fit", counted)
            NaturalGradient(session).grow(rounds=2, seed=1, after_round=lambda train, valid: False)
        assert len(sizes) == 4
        assert all(abs(size - expected) <= 1 for size in sizes)


@pytest.mark.parametrize("case", ["constant", "missing", "few", "two values", "absent class"])
def test_odd_data_gives_a_model_or_one_sentence(make_spec: SpecMaker, tmp_path: Path, case: str) -> None:
    """Features that say nothing, labels that are nearly all the same, a class no training row has."""
    frames = {s: symbol_frame(s, place) for place, s in enumerate(SYMBOLS)}
    target = "y_class_1d" if case == "absent class" else "fwd_ret_1d"
    for frame in frames.values():
        if case == "constant":
            frame["f1"] = np.float32(3.0)
        if case == "missing":
            frame["f1"] = np.float32(np.nan)
            frame.loc[::50, "f1"] = np.float32(1.0)
            frame.loc[100:400, "f1"] = np.float32(np.nan)
        if case == "few":
            frame["fwd_ret_1d"] = np.where(np.arange(len(frame)) % 97 == 0, np.float32(1e6), np.float32(0))
        if case == "two values":
            frame["fwd_ret_1d"] = np.where(frame["f0"] > 0, np.float32(0.5), np.float32(-0.5))
        if case == "absent class":
            frame.loc[: len(frame) * 2 // 3, "y_class_1d"] = np.float32(1.0)
            frame.loc[:20, "y_class_1d"] = np.float32(2.0)
    panel = write_panel(tmp_path, frames)
    spec = make_spec(family=FAMILY, target=target, panel_path=panel.path, panel_key=panel.key, params=SMALL)
    metrics = bundle_of(spec, tmp_path / "fit").card["metrics"]
    assert np.isfinite(metrics["score"])


def test_what_the_library_cannot_solve_is_one_sentence(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A singular metric ends the fit with the target's name and a way out, not with a traceback."""

    def singular(*given: object, **named: object) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("ngboost.scores.Score._natural_gradient", singular)
    with pytest.raises(BadInput, match=r"target fwd_ret_1d: .*Singular matrix.*another family"):
        outcome_of(make_spec(family=FAMILY, params=SMALL))


def test_a_likelihood_that_is_no_number_ends_the_growing(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round that broke it is not kept, and nothing is asked of the rounds after it."""
    session = session_of(make_spec(family=FAMILY, params=SMALL))
    engine = NaturalGradient(session)
    seen: list[float] = []
    scores = iter([0.5, 0.4, float("nan")])
    original = __import__("ngboost.distns.normal", fromlist=["NormalLogScore"]).NormalLogScore.total_score

    def total_score(self: Any, labels: Any, sample_weight: Any = None) -> float:
        is_judging = sample_weight is None and len(labels) == len(session.data.valid)
        return next(scores) if is_judging else float(original(self, labels, sample_weight))

    monkeypatch.setattr("ngboost.distns.normal.NormalLogScore.total_score", total_score)
    engine.grow(rounds=6, seed=1, after_round=noting(seen))
    assert seen == [0.5, 0.4]
    assert engine.model.rounds == 2
    assert engine.model.trees.count == 4
