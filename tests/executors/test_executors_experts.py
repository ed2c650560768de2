"""Linear experts, the path of their penalties, and the market they are chosen by."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from executors.cpu.experts import Sample, answers, fitted, losses, mixed, penalties_of, predicted
from executors.cpu.market import SlowDirections, market_of, rows_in
from executors.preprocessing import Standardisation
from panel.aligned import Panel


def sample(task: str, rows: int = 400) -> Sample:
    """Return rows whose label depends on two of four features."""
    random = np.random.default_rng(3)
    values = random.standard_normal((rows, 4)).astype(np.float32)
    number = values @ [1.0, -0.5, 0.0, 0.0] + random.standard_normal(rows)
    labels = {"regression": number, "binary": number > 0.2, "multiclass": np.digitize(number, [-0.7, 0.7])}
    outputs = 3 if task == "multiclass" else 1
    return Sample(values=values, labels=labels[task].astype(np.float64), task=task, outputs=outputs)


@pytest.mark.parametrize("strength", [0.001, 0.1, 10.0])
def test_weighted_ridge_is_that_of_the_library(strength: float) -> None:
    """Coefficients pulled to zero, the constant free: as scikit-learn has it."""
    rows = sample("regression")
    weights = np.random.default_rng(1).random(400) + 0.5
    penalties = penalties_of(5, strength, float(weights.sum()), free_constant=True)
    found = fitted(rows, weights, np.zeros((5, 1)), penalties)
    library = Ridge(alpha=strength * weights.sum()).fit(rows.values, rows.labels, sample_weight=weights)
    np.testing.assert_allclose(found[:, 0], [*library.coef_, library.intercept_], atol=1e-5)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_weighted_classifiers_are_those_of_the_library(task: str) -> None:
    """Penalised maximum likelihood of two and of three classes: as scikit-learn has it."""
    rows = sample(task)
    weights = np.random.default_rng(1).random(400) + 0.5
    total = float(weights.sum())
    centre = np.zeros((5, rows.outputs))
    found = fitted(rows, weights, centre, penalties_of(5, 0.02, total, free_constant=True))
    library = LogisticRegression(C=1 / (0.02 * total), tol=1e-9, max_iter=1000)
    library.fit(rows.values, rows.labels, sample_weight=weights)
    expected = library.predict_proba(rows.values)
    said = predicted(rows.values, found[None], task)[:, 0]
    np.testing.assert_allclose(said, expected if task == "multiclass" else expected[:, 1:], atol=2e-4)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_stiff_expert_says_what_the_common_model_says(task: str) -> None:
    """The penalty pulls to the centre: rows of weight nothing leave exactly it, few rows nearly."""
    rows = sample(task)
    centre = np.random.default_rng(2).standard_normal((5, rows.outputs))
    penalties = penalties_of(5, 1.0, 400.0, free_constant=False)
    np.testing.assert_allclose(fitted(rows, np.zeros(400), centre, penalties), centre, atol=1e-9)
    few = np.zeros(400)
    few[:4] = 1.0
    assert np.abs(fitted(rows, few, centre, penalties) - centre).max() < 0.1


def test_a_row_has_the_same_bits_alone_and_among_others() -> None:
    """Answers of 20,000 rows are those of each row asked by itself."""
    random = np.random.default_rng(1)
    values = random.standard_normal((20_000, 13)).astype(np.float32)
    experts = random.standard_normal((3, 14, 2))
    whole = predicted(values, experts, "multiclass")
    shares = random.dirichlet(np.ones(3), size=20_000)
    for row in (0, 8191, 8192, 19_999):
        alone = predicted(values[row : row + 1], experts, "multiclass")
        np.testing.assert_array_equal(alone[0], whole[row])
        np.testing.assert_array_equal(mixed(alone, shares[row : row + 1])[0], mixed(whole, shares)[row])
    assert answers(values[:0], experts[0]).shape == (0, 2)


def test_losses_are_squared_errors_and_log_losses() -> None:
    """Of numbers, of the upper of two classes, and of several classes, for one model or many."""
    numbers = losses(np.array([[[1.0], [3.0]]]), np.array([2.0]), "regression")
    np.testing.assert_allclose(numbers, [[1.0, 1.0]])
    upper = losses(np.array([[0.9], [0.9]]), np.array([1.0, 0.0]), "binary")
    np.testing.assert_allclose(upper, -np.log([0.9, 0.1]))
    several = losses(np.array([[[0.2, 0.7, 0.1], [0.5, 0.4, 0.1]]]), np.array([1.0]), "multiclass")
    np.testing.assert_allclose(several, -np.log([[0.7, 0.4]]))


def test_slow_directions_are_those_that_last() -> None:
    """Of four noisy columns one holds a slow state: it is the first direction, of variance 1."""
    random = np.random.default_rng(4)
    state = np.sin(np.arange(600) / 30.0)
    values = random.standard_normal((600, 4)) * [1.0, 5.0, 0.1, 2.0]
    values[:, 2] += 0.1 * state
    slow = SlowDirections.fitted(values[:400], 2)
    found = slow.applied(values)
    assert abs(np.corrcoef(found[:, 0], state)[0, 1]) > 0.5
    np.testing.assert_allclose(found[:400].std(axis=0), 1.0, atol=0.05)
    np.testing.assert_array_equal(slow.applied(values[:77]), found[:77])


def test_a_market_that_does_not_move_has_no_directions() -> None:
    """Constant columns leave nothing to follow, and that is no error."""
    slow = SlowDirections.fitted(np.ones((50, 3)), 2)
    assert slow.applied(np.ones((5, 3))).shape == (5, 0)


def test_the_market_is_the_mean_of_its_symbols(panel: Panel) -> None:
    """Bar by bar, missing values as their median; one symbol's market is that symbol."""
    features = panel.feature_names
    whole = slice(0, panel.rows)
    scaled = Standardisation.fitted(panel.matrix(features, whole))
    market = market_of(panel, rows_in(panel, None), features, scaled)
    values = scaled.applied(panel.matrix(features, whole)).astype(np.float64)
    at = panel.time_codes == 17
    np.testing.assert_allclose(market.values[17, :-1], values[at].mean(axis=0))
    np.testing.assert_allclose(market.values[17, -1], np.log((values[at] ** 2).mean()), atol=1e-5)
    own = rows_in(panel, "BBB")
    np.testing.assert_allclose(market_of(panel, own, features, scaled).values[:, :-1], values[own])
    np.testing.assert_array_equal(market.place_of(panel.time_codes[own]), np.arange(500))
