"""What each feature is worth, by shuffling it: right, repeatable, and at a known price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from executor_panels import SYMBOLS

from executors import importances
from executors.bundle import load_bundle
from executors.contract import FitSpec, Succeeded
from executors.dataset import FitData, fit_data
from executors.importances import ShuffledPanel, permutation_importances
from executors.session import Session
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]


class Oracle:
    """A model that knows part of the law: what f0 does at once, or f2 a bar later."""

    PARAMETERS: ClassVar[dict[str, Any]] = {}
    LIBRARIES: tuple[str, ...] = ()

    def __init__(self, window: int = 1) -> None:
        self.window = window
        self.feature, self.slope = ("f0", 0.005) if window == 1 else ("f2", 0.003)
        self.rows_asked = 0

    def window_rows(self, params: Any) -> int:
        return self.window

    def predict(self, files: Any, outline: Any, panel: Panel, rows: np.ndarray) -> np.ndarray:
        self.rows_asked += len(rows)
        earlier = rows - (self.window - 1)
        said = self.slope * panel.matrix((self.feature,), earlier)[:, 0]
        return np.where(np.isfinite(said), said, np.nan).astype(np.float32)


def session_of(spec: FitSpec, data: FitData) -> Session:
    """A session nobody listens to."""
    return Session(
        spec=spec,
        data=data,
        params={},
        versions={},
        tell=lambda report: None,
        should_stop=lambda: False,
    )


def measured(spec: FitSpec, oracle: Oracle) -> dict[str, float]:
    """Importances of the oracle."""
    session = session_of(spec, fit_data(spec, window=oracle.window))
    return permutation_importances(session, oracle, {}, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [1, 2])
def test_the_feature_that_counts_is_found_and_the_others_are_exactly_nothing(
    make_spec: SpecMaker, window: int
) -> None:
    """Of a model of one feature, of the row's own bar or of the one before: no other has any importance.

    The expected rise of the squared error is twice the variance of what the feature contributes.
    """
    spec, oracle = make_spec(), Oracle(window)
    found = measured(spec, oracle)
    expected = 2 * (oracle.slope / fit_data(spec).code.scale) ** 2
    assert found.pop(oracle.feature) == pytest.approx(expected, abs=0.1)
    assert set(found.values()) == {0.0}


def test_the_same_fit_has_the_same_importances_and_another_seed_others(make_spec: SpecMaker) -> None:
    """Shuffles are a function of the fit's seed."""
    first = measured(make_spec(), Oracle())
    assert measured(make_spec(), Oracle()) == first
    assert measured(make_spec(seed=8), Oracle()) != first


@pytest.mark.parametrize(("features", "rows_max"), [(8, 17 * 2000), (2, 5 * 2000)])
def test_it_costs_a_known_number_of_predictions(make_spec: SpecMaker, features: int, rows_max: int) -> None:
    """Two shuffles a feature of at most 2,000 rows, fewer where there are many features."""
    oracle = Oracle()
    measured(make_spec(features=tuple(f"f{number}" for number in range(features))), oracle)
    assert oracle.rows_asked <= min(rows_max, importances.PREDICTIONS_MAX + importances.ROWS_MAX)


def test_of_many_features_few_rows_are_asked(make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the price would be exceeded, rows and repeats give way."""
    monkeypatch.setattr(importances, "PREDICTIONS_MAX", 400)
    oracle = Oracle()
    measured(make_spec(), oracle)
    assert oracle.rows_asked == 50 * (1 + 8)


def test_no_value_leaves_its_symbol_or_its_span(panel: Panel) -> None:
    """Within the spans the values are the same in another order, elsewhere nothing has changed."""
    spans = [slice(100, 300), slice(700, 900)]
    shuffled = ShuffledPanel(panel, "f2", spans, np.random.default_rng(0))
    before, after = panel.values("f2"), shuffled.values("f2")
    for span in spans:
        assert sorted(after[span].tolist()) == sorted(before[span].tolist())
        assert (after[span] != before[span]).mean() > 0.9
    outside = np.setdiff1d(np.arange(panel.rows), np.r_[100:300, 700:900])
    assert np.array_equal(after[outside], before[outside], equal_nan=True)
    rows = np.array([150, 5, 2000])
    names = ("f1", "f2")
    assert np.array_equal(shuffled.matrix(names, rows)[:, 1], after[rows])
    assert np.array_equal(shuffled.matrix(names)[:, 0], panel.values("f1"), equal_nan=True)
    assert np.array_equal(shuffled.values("f1"), panel.values("f1"), equal_nan=True)
    assert shuffled.rows_of(SYMBOLS[1]) == panel.rows_of(SYMBOLS[1])


def test_test_rows_are_not_asked(make_spec: SpecMaker) -> None:
    """Only validation rows are predicted: what judges the model has no say in what it is explained by."""
    spec = make_spec()
    data = fit_data(spec)
    asked: list[np.ndarray] = []

    class Watching(Oracle):
        def predict(self, files: Any, outline: Any, panel: Panel, rows: np.ndarray) -> np.ndarray:
            asked.append(rows)
            return super().predict(files, outline, panel, rows)

    permutation_importances(session_of(spec, data), Watching(), {}, {})  # type: ignore[arg-type]
    assert np.isin(np.concatenate(asked), data.valid).all()


@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_up_1d", "y_class_1d"])
def test_a_net_s_card_names_the_planted_features_first(make_spec: SpecMaker, target: str) -> None:
    """f0 counts most of all; the card says how that was found."""
    spec = make_spec(family="MLP", target=target, params={"epochs": 6, "hidden": 32, "learning_rate": 0.005})
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    card = load_bundle(spec.bundle_path).card
    assert card["importance_method"] == "permutation"
    assert max(card["importances"], key=card["importances"].get) == "f0"
    assert card["importances"]["f0"] > 5 * max(card["importances"][f"f{number}"] for number in (4, 5, 6, 7))
