"""Models of one target side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executors.bundle import Bundle, load_bundle
from executors.comparing import compare_bundles
from executors.contract import FitSpec
from executors.errors import BadInput
from executors.predictions import to_file
from executors.training import fit_once

SpecMaker = Callable[..., FitSpec]


def fitted(spec: FitSpec) -> Bundle:
    """The bundle of a fit."""
    fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    return load_bundle(spec.bundle_path)


@pytest.fixture
def train(make_spec: SpecMaker, tmp_path: Path) -> Callable[..., Bundle]:
    """Train a fit under a name of its own."""

    def trained(name: str, **changes: Any) -> Bundle:
        where = {"checkpoint_dir": tmp_path / name / "c", "bundle_path": tmp_path / name / "b"}
        return fitted(make_spec(**{"params": {"rounds": 20}, **where, **changes}))

    return trained


def saying(bundle: Bundle, **columns: np.ndarray) -> Bundle:
    """The bundle with other recorded predictions."""
    name, content = to_file(replace(bundle.predictions(), **columns))
    return Bundle(path=bundle.path, card=bundle.card, files={**bundle.files, name: content})


def test_a_model_is_not_ahead_of_itself_and_surely_ahead_of_chance(train: Callable[..., Bundle]) -> None:
    """The same predictions differ by exactly nothing; shuffled ones lose, and the interval says so."""
    good = train("good")
    shuffled = np.random.default_rng(0).permutation(good.predictions().prediction)
    found = compare_bundles({"a": good, "same": good, "chance": saying(good, prediction=shuffled)})
    assert (found.target, found.metric, found.rows) == ("fwd_ret_1d", "rank_ic", 600)
    assert [(one.first, one.second) for one in found.differences] == [
        ("a", "same"),
        ("a", "chance"),
        ("same", "chance"),
    ]
    same, chance, _ = found.differences
    assert (same.ahead.value, same.ahead.low, same.ahead.high, same.is_sure) == (0.0, 0.0, 0.0, False)
    assert same.correlation == pytest.approx(1.0)
    assert chance.is_sure
    assert chance.ahead.value == pytest.approx(found.scores["a"].value - found.scores["chance"].value)
    assert abs(chance.correlation or 0.0) < 0.15


def test_two_models_of_the_same_signal_are_told_apart_better_than_by_their_own_errors(
    train: Callable[..., Bundle],
) -> None:
    """Rows are paired: the error of the difference is well below that of two independent scores."""
    found = compare_bundles({"lightgbm": train("lightgbm"), "xgboost": train("xgboost", family="XGBoost")})
    difference = found.differences[0]
    errors = [score.standard_error for score in found.scores.values()]
    assert difference.ahead.standard_error < 0.8 * float(np.hypot(*errors))
    assert 0.3 < (difference.correlation or 0.0) < 1.0


def test_only_the_common_rows_count(train: Callable[..., Bundle]) -> None:
    """A sequence family records fewer rows; both are judged on those, wherever they stand in the tables."""
    whole = train("whole")
    window = train("window", family="LSTM", params={"epochs": 1, "hidden": 4, "window": 40}, test_share=0.1)
    found = compare_bundles({"whole": whole, "window": window})
    assert found.rows == len(window.predictions().time) < len(whole.predictions().time)


def test_a_symbol_s_own_model_is_compared_within_its_symbol(train: Callable[..., Bundle]) -> None:
    """The model of all symbols is judged on that symbol's rows over time."""
    own = train("own", training_type="symbol_specific", symbol="BBB")
    found = compare_bundles({"all": train("all"), "own": own})
    assert (found.metric, found.rows) == ("rank_corr", 100)


@pytest.mark.parametrize("target", ["y_up_1d", "y_class_1d"])
def test_classes_are_compared_by_their_probabilities(train: Callable[..., Bundle], target: str) -> None:
    """AUC, and the correlation of all probabilities."""
    found = compare_bundles(
        {"one": train("one", target=target), "two": train("two", target=target, family="XGBoost")}
    )
    assert found.metric.startswith("auc")
    assert 0.3 < (found.differences[0].correlation or 0.0) < 1.0


def test_a_constant_prediction_has_no_correlation(train: Callable[..., Bundle]) -> None:
    """None instead of a number that is none."""
    good = train("good")
    flat = saying(good, prediction=np.zeros(600, dtype=np.float32))
    assert compare_bundles({"good": good, "flat": flat}).differences[0].correlation is None


def test_models_that_cannot_be_compared_are_refused(train: Callable[..., Bundle]) -> None:
    """Another target, one model alone, or no row in common."""
    good, other = train("good"), train("other", target="y_up_1d")
    with pytest.raises(BadInput, match="its target is y_up_1d, that of good is fwd_ret_1d"):
        compare_bundles({"good": good, "other": other})
    with pytest.raises(BadInput, match="name two or more models"):
        compare_bundles({"good": good})
    later = saying(good, time=good.predictions().time + 1)
    with pytest.raises(BadInput, match="no test row in common"):
        compare_bundles({"good": good, "later": later})
