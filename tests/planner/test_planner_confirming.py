"""Models of a fold: blind to what they are judged on, the same alone and in company."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planner_cells import Stage, law, series, stage

from panel.ranks import cross_scores, rank_rows
from planner import confirming
from planner.cells import Cell
from planner.config import RankingConfig
from planner.confirming import learn
from planner.learners import binned, ridge
from planner.scores import TIME

CONFIG = RankingConfig(boosting_rounds=8)
ROWS, FOLDS = 500, ((200, 300), (300, 400), (400, 500))
HORIZON = 5
FEATURES = ("a", "b", "c", "d")
TARGETS = ("y_five_5d", "y_third_1d", "y_up_1d", "y_x_1d")


def _frame(seed: int) -> pd.DataFrame:
    """A return that follows a and the product of b and c, its sign, its third, and a sum of five days."""
    rng = np.random.default_rng(seed)
    x = {name: rng.standard_normal(ROWS) for name in FEATURES}
    driven = 0.6 * x["a"] + 0.5 * x["b"] * x["c"] + rng.standard_normal(ROWS)
    five = np.array([driven[at : at + HORIZON].sum() for at in range(ROWS)])
    targets = {
        "y_five_5d": five,
        "y_third_1d": np.digitize(driven, [-0.5, 0.5]) - 1.0,
        "y_up_1d": (driven > 0).astype(np.float64),
        "y_x_1d": driven,
    }
    for name, label in targets.items():
        label[-(HORIZON if name == "y_five_5d" else 1) :] = np.nan
    return series({**x, **targets})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Four symbols of 500 days, one of them without every ninth."""
    data = {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD"))}
    data["BBB"] = data["BBB"].drop(index=range(0, ROWS, 9)).reset_index(drop=True)
    return stage(data, tmp_path_factory.mktemp("confirming"))


def _learnt(made: Stage, *cells: Cell, folds: int = 3) -> None:
    for test_from, test_until in FOLDS[:folds]:
        learn(made.grid(test_from, test_until), cells, CONFIG, seed=1)


def _everything(cell: Cell) -> tuple[Any, ...]:
    """All that the folds left behind, as bytes."""
    arrays = [cell.linear, cell.boosted, cell.tested, cell.alike, *cell.path.values()]
    facts = [
        value.tobytes() if isinstance(value, np.ndarray) else value
        for fold in cell.folds
        for value in (getattr(fold, one.name) for one in dataclasses.fields(fold))
    ]
    return (*(array.tobytes() for array in arrays), *facts)


def _confirmed(made: Stage, target: str, symbol: str | None = None, **changes: Any) -> Cell:
    sure = law(rank=1e-20, product=1e-9)
    return made.cell(target, symbol, **{"confirmed": True, "law": sure, **changes})


def test_no_window_of_a_training_label_reaches_the_test(made: Stage) -> None:
    """Label end and embargo lie before the first bar that is judged, for every symbol, gaps or none."""
    cell = made.cell("y_five_5d")
    for embargo in (0, HORIZON, 40):
        centred, plain, known = cell.train_labels(200, embargo)
        symbols, times = np.nonzero(known)
        assert (cell.ends[symbols, times] + embargo).max() == 199
        assert not centred[~known[:, None, :]].any()
        assert np.isnan(plain[~known[:, None, :]]).all()
        there = np.isfinite(cell.raw[:, 0, :200])
        late = there & (cell.ends[:, :200] + embargo >= 200)
        assert (known == (there & ~late)).all()
    assert cell.ends[0, 105] == 110
    assert cell.ends[1, 105] == 111  # bar 108 is missing there


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("symbol", [None, "AAA"])
def test_a_fold_is_blind_to_labels_that_end_too_late(made: Stage, target: str, symbol: str | None) -> None:
    """Labels in the test, or with windows that reach it, may be anything: choice and predictions stay."""
    test_from, horizon = 305, HORIZON if target == "y_five_5d" else 1
    raw = np.ascontiguousarray(made.cell(target, symbol).raw)
    before = _confirmed(made, target, symbol, raw=raw)
    late = np.isfinite(raw) & (before.ends[:, None, :] + horizon >= test_from)  # the embargo is one horizon
    wild = raw[:, ::-1] if raw.shape[1] > 1 else 1.0 - raw if target == "y_up_1d" else -9.0 * raw
    after = _confirmed(made, target, symbol, raw=np.where(late, wild, raw))
    for cell in (before, after):
        learn(made.grid(test_from, 400), [cell], CONFIG, seed=1)
    span = np.s_[..., test_from:400]
    assert np.isfinite(before.linear[span]).any()
    assert before.linear[span].tobytes() == after.linear[span].tobytes()
    assert before.boosted[span].tobytes() == after.boosted[span].tobytes()
    one, two = before.folds[0], after.folds[0]
    assert one.order == two.order
    for name in ("correlation", "ridge", "gain", "information"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


def test_the_next_fold_hears_nothing_of_labels_that_reach_it(made: Stage) -> None:
    """What shuffling costs on test rows is told to the next fold without the labels that end in its test."""
    raw = np.ascontiguousarray(made.cell("y_five_5d").raw)
    before = _confirmed(made, "y_five_5d", raw=raw)
    other = raw.copy()
    other[..., 300 - 2 * HORIZON + 1 : 300] *= -30.0
    other[1] = raw[1]  # bars are missing there
    after = _confirmed(made, "y_five_5d", raw=other)
    for cell in (before, after):
        learn(made.grid(200, 300), [cell], CONFIG, seed=1)
    assert before.folds[0].permutation.any()
    assert before.folds[0].permutation.tobytes() == after.folds[0].permutation.tobytes()


def test_labels_across_symbols_are_ranked_among_those_known_in_time(made: Stage) -> None:
    """Where only some labels of a bar end in time, the others do not even place them."""
    cell = made.cell("y_five_5d")
    _, plain, known = cell.train_labels(208, HORIZON)
    there = np.isfinite(cell.raw[:, 0, :208])
    assert np.flatnonzero(known.any(axis=0) & (there & ~known).any(axis=0)).tolist() == [197]
    own = np.where(known, cell.raw[:, 0, :208], np.nan).astype(np.float32)
    np.testing.assert_array_equal(plain[:, 0], np.where(known, cross_scores(own, 3), np.nan))


def test_labels_of_one_symbol_are_ranked_among_its_training_bars(made: Stage) -> None:
    """The time scores of the past only, whatever comes later."""
    cell = made.cell("y_x_1d", "AAA")
    centred, plain, known = cell.train_labels(200, 1)
    wanted = rank_rows(np.where(known, cell.raw[:, 0, :200], np.nan).astype(np.float32))
    assert plain[0].tobytes() == wanted.tobytes()
    assert centred[0, 0, known[0]].tobytes() == wanted[0, known[0]].tobytes()


def test_classes_are_centred_on_their_share_in_training(made: Stage) -> None:
    """Indicators less the share of the class among the training rows."""
    cell = made.cell("y_third_1d")
    centred, plain, known = cell.train_labels(200, 1)
    assert plain.shape == (4, 3, 200)
    for place in range(3):
        share = plain[:, place][known].mean()
        assert centred[:, place][known] == pytest.approx(plain[:, place][known] - share, abs=1e-6)
        assert cell.raw[:, place][:, :200][known] == pytest.approx(plain[:, place][known])


def test_the_linear_model_is_ridge_on_training_rows(made: Stage) -> None:
    """Predictions of a cell the screens found nothing in, by hand: columns, coefficients, product, spread."""
    cell = made.cell("y_x_1d", "AAA")
    learn(made.grid(200, 300), [cell], CONFIG, seed=1)
    grid = made.grid(200, 300)
    x = grid.matrix(TIME, 0)
    centred, _, known = cell.train_labels(200, 1)
    z = x[:, :200] @ centred[0, 0]
    z = z / np.sqrt((x[:, :200] ** 2).sum(axis=1) * (centred**2).sum()) * np.sqrt(known.sum())
    order = np.argsort(-np.abs(z))
    chosen = order[: max(2, int((np.abs(z) >= 2.6).sum()))]
    sums = x[chosen, :200].astype(np.float64)
    coefficients = ridge(sums @ sums.T, sums @ centred[0].T, CONFIG.ridge_penalty)
    said = coefficients[:, 0] @ sums
    wanted = x[chosen, 200:300].T @ coefficients[:, 0] / np.sqrt((said**2).sum() / known.sum())
    assert cell.linear[0, 0, 200:300] == pytest.approx(wanted, abs=1e-3)
    assert np.isnan(cell.linear[..., :200]).all()
    assert np.isnan(cell.boosted).all()
    assert cell.folds[0].correlation == pytest.approx(z, rel=1e-3)
    assert cell.prediction.tobytes() == cell.linear.tobytes()


def test_a_found_law_gets_its_columns_and_both_learners(made: Stage) -> None:
    """The product that drives the label is predicted, and both learners are judged, the linear one twice."""
    plain, found = made.cell("y_x_1d", "AAA"), _confirmed(made, "y_x_1d", "AAA")
    _learnt(made, plain, found)
    without, within = (cell.judge.score(cell.linear, cell.tested).value for cell in (plain, found))
    assert within > without + 0.05
    mean = (2.0 * found.linear + found.boosted) / 3.0
    np.testing.assert_allclose(found.prediction[0, 0, 200:499], mean[0, 0, 200:499], rtol=1e-6)
    gain = found.folds[-1].gain
    assert set(np.argsort(-gain)[:3]) == {0, 1, 2}
    assert found.folds[-1].permutation[0] > 0.05


def test_predictions_lie_on_the_tested_bars_only(made: Stage) -> None:
    """Every fold fills its own bars where there is a label; nothing else is predicted."""
    cell = _confirmed(made, "y_up_1d")
    _learnt(made, cell)
    known = np.isfinite(cell.raw[:, 0])
    known[:, :200] = False
    assert (cell.tested == known).all()
    for grid in (cell.linear, cell.boosted, *cell.path.values()):
        assert (np.isfinite(grid[:, 0]) == known).all()
    assert [(fold.test_from, fold.test_until) for fold in cell.folds] == list(FOLDS)
    # Each in its own spread, around what it says on the whole: a base rate is no prediction.
    assert all(abs(float(np.nanmean(grid))) < 0.5 for grid in (cell.linear, cell.boosted))
    assert all(0.5 < float(np.nanstd(grid)) < 2.0 for grid in (cell.linear, cell.boosted))


@pytest.mark.parametrize("target", TARGETS)
def test_a_cell_does_not_depend_on_its_company(made: Stage, target: str) -> None:
    """Alone, beside others, in any order: bit for bit what it was."""
    alone = _confirmed(made, target)
    _learnt(made, alone)
    together = {name: _confirmed(made, name) for name in TARGETS}
    others = [made.cell(target, "AAA"), made.cell("y_x_1d", "CCC")]
    _learnt(made, *others, *reversed(list(together.values())))
    assert _everything(together[target]) == _everything(alone)


def test_a_symbol_is_not_judged_by_a_model_of_its_first_days(made: Stage) -> None:
    """A fold needs a hundred training rows and a tenth of all that there are."""
    raw = made.cell("y_x_1d", "AAA").raw
    late = raw.copy()
    late[..., :150] = np.nan
    cell = made.cell("y_x_1d", "AAA", raw=late)
    _learnt(made, cell)
    assert [fold.train_rows for fold in cell.folds] == [148, 248]
    assert not cell.tested[:, :300].any()
    early = made.cell("y_x_1d").raw.copy()
    early[..., :172] = np.nan
    pooled = made.cell("y_x_1d", raw=early)
    assert int(pooled.train_labels(200, 1)[2].sum()) == 101  # enough, but less than a tenth
    assert pooled.rows > 1010
    _learnt(made, pooled)
    assert [fold.test_from for fold in pooled.folds] == [300, 400]


def test_a_fold_of_one_class_is_left_out(made: Stage) -> None:
    """Training rows that are all the same teach nothing: the fold is no fold."""
    raw = made.cell("y_up_1d").raw.copy()
    raw[..., :250] = np.where(np.isnan(raw[..., :250]), np.nan, 1.0)
    cell = made.cell("y_up_1d", raw=raw)
    _learnt(made, cell)
    assert [fold.test_from for fold in cell.folds] == [300, 400]


def test_the_path_ends_with_all_features(made: Stage) -> None:
    """Sizes rise; the last prediction is ridge on every usable feature, whatever was screened."""
    cell = _confirmed(made, "y_x_1d", usable=np.array([0, 1, 3]))
    _learnt(made, cell)
    assert list(cell.path) == [2, 3]
    grid = made.grid(400, 500)
    centred, _, _ = cell.train_labels(400, 1)
    x = np.stack([grid.matrix(cell.kind, symbol)[[0, 1, 3]] for symbol in range(4)]).astype(np.float64)
    train = x[..., :400]
    gram = np.einsum("sft,sgt->fg", train, train)
    moments = np.einsum("sft,skt->fk", train, centred)
    wanted = np.einsum("sft,f->st", x[..., 400:], ridge(gram, moments, CONFIG.ridge_penalty)[:, 0])
    judged = cell.tested[:, 400:]
    assert cell.path[3][:, 0, 400:][judged] == pytest.approx(wanted[judged], abs=1e-4)


def test_features_that_know_the_future_are_not_touched(made: Stage) -> None:
    """Only usable features get columns, votes and a place in the path."""
    cell = _confirmed(made, "y_x_1d", usable=np.array([1, 2, 3]), features=("b", "c", "d"))
    _learnt(made, cell)
    for fold in cell.folds:
        assert len(fold.correlation) == len(fold.gain) == len(fold.permutation) == 3
        assert sorted(fold.order) == [0, 1, 2]
    blind = made.cell("y_x_1d", usable=np.array([3]))
    _learnt(made, blind)
    assert abs(blind.judge.score(blind.prediction, blind.tested).value) < 0.1


def test_boosting_takes_no_more_rows_than_it_may(made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more training rows than are needed every so many bars are taken, evenly in time, and it learns."""
    seen = []

    def noted(columns: Any, config: RankingConfig) -> Any:
        seen.append(len(columns))
        return binned(columns, config)

    monkeypatch.setattr(confirming, "binned", noted)
    cell = _confirmed(made, "y_x_1d", "AAA")
    learn(made.grid(400, 500), [cell], dataclasses.replace(CONFIG, boosting_rows=150), seed=1)
    assert cell.folds[0].train_rows == 398
    assert seen == [133]
    assert cell.judge.score(cell.boosted, cell.tested).value > 0.15


def test_the_columns_of_a_found_law_are_fitted_on_training_rows_only(made: Stage) -> None:
    """Bars whose labels end too late, or that have none, are in no sum of the linear model."""
    two = {"usable": np.array([0, 1]), "features": ("a", "b")}
    cell = _confirmed(made, "y_x_1d", "BBB", law=law(rank=1e-20), **two)
    learn(made.grid(300, 400), [cell], dataclasses.replace(CONFIG, embargo_bars=120), seed=1)
    grid = made.grid(300, 400)
    x = grid.matrix(TIME, 1)[:2].astype(np.float64)
    centred, _, known = cell.train_labels(300, 120)
    train = x[:, :300] * known
    gram = train @ train.T
    coefficients = ridge(gram, train @ centred[0].T, CONFIG.ridge_penalty)
    said = x[:, 300:].T @ coefficients[:, 0]
    judged = cell.tested[0, 300:400]
    spread = np.sqrt(coefficients[:, 0] @ gram @ coefficients[:, 0] / known.sum())
    assert cell.linear[0, 0, 300:400][judged] == pytest.approx((said / spread)[judged], abs=1e-4)


def test_a_cell_says_why_it_cannot_be_measured(made: Stage) -> None:
    """No features, too few labels, one single value: with the number where there is one."""
    raw = made.cell("y_x_1d").raw
    assert made.cell("y_x_1d").reason is None
    assert "know the future" in (made.cell("y_x_1d", usable=np.zeros(0, dtype=np.intp)).reason or "")
    few = np.full_like(raw, np.nan)
    few[0, 0, :60] = raw[0, 0, :60]
    assert made.cell("y_x_1d", raw=few).reason == "only 60 labels before the final segment"
    assert made.cell("y_x_1d", raw=np.ones_like(raw)).reason == "one single value before the final segment"
    assert made.cell("y_x_1d").coverage == pytest.approx(np.isfinite(raw).sum() / made.panel.rows, rel=1e-4)


def test_a_fold_too_small_to_judge_is_left_out(made: Stage) -> None:
    """Under twenty rows to judge say nothing."""
    cell = made.cell("y_x_1d", "AAA")
    learn(made.grid(480, 499), [cell], CONFIG, seed=1)
    assert cell.folds == []
    learn(made.grid(470, 499), [cell], CONFIG, seed=1)
    assert len(cell.folds) == 1
