"""The two small learners: right on known data, the same every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from planner.config import RankingConfig
from planner.learners import Boosted, binned, boost, ridge

CONFIG = RankingConfig(boosting_rounds=20)
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def _columns(seed: int = 0, rows: int = 800, columns: int = 5) -> Float32s:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def _boost(columns: Float32s, label: Floats, task: str = "regression", outputs: int = 1) -> Boosted:
    return boost(binned(columns, CONFIG), label, task=task, outputs=outputs, config=CONFIG, seed=1)


def _correlation(one: npt.NDArray[np.floating], two: npt.NDArray[np.floating]) -> float:
    return float(np.corrcoef(one, two)[0, 1])


def test_ridge_from_sums_of_products_is_ridge() -> None:
    """The coefficients are those of scikit-learn, its penalty a share of the mean of the diagonal."""
    x = _columns(1).astype(np.float64)
    y = x[:, :2] @ np.array([[1.0, 0.0], [0.5, -2.0]]) + np.random.default_rng(2).standard_normal((800, 2))
    gram = x.T @ x
    for penalty in (0.02, 1.0):
        wanted = Ridge(alpha=penalty * np.trace(gram) / 5, fit_intercept=False).fit(x, y).coef_.T
        assert ridge(gram, x.T @ y, penalty) == pytest.approx(wanted, rel=1e-8)


def test_ridge_of_twins_shares_their_coefficient() -> None:
    """Two columns that are one and the same are no singular matrix: each gets half."""
    x = _columns(3)[:, [0, 0, 1]].astype(np.float64)
    found = ridge(x.T @ x, x.T @ x[:, :1], 0.02)[:, 0]
    assert found[0] == pytest.approx(found[1])
    assert found[:2].sum() == pytest.approx(1.0, abs=0.02)
    assert found[2] == pytest.approx(0.0, abs=0.01)


def test_ridge_of_nothing_is_nothing() -> None:
    """Columns that are zero throughout, and no columns at all, have coefficients of zero."""
    assert ridge(np.zeros((3, 3)), np.zeros((3, 2)), 0.02).tolist() == [[0.0, 0.0]] * 3
    assert ridge(np.zeros((0, 0)), np.zeros((0, 1)), 0.02).shape == (0, 1)


def test_a_target_of_the_size_of_a_feature_is_found_by_boosting() -> None:
    """What no straight line can say is predicted through the trees, and the gain names the feature."""
    model = _boost(_columns(2), np.abs(_columns(2)[:, 3]).astype(np.float64))
    new = _columns(20)
    assert _correlation(model.predict(new)[:, 0], np.abs(new[:, 3])) > 0.8
    assert int(model.gain.argmax()) == 3


def test_a_binary_target_gives_probabilities() -> None:
    """The prediction of classes 0 and 1 lies between 0 and 1 and grows with the chance of 1."""
    columns = _columns(3)
    prediction = _boost(columns, (columns[:, 1] > 0).astype(np.float64), "binary").predict(_columns(30))
    assert prediction.shape == (800, 1)
    assert 0.0 <= prediction.min() < 0.3
    assert 0.7 < prediction.max() <= 1.0
    assert _correlation(prediction[:, 0], _columns(30)[:, 1]) > 0.7


def test_several_classes_give_a_column_each() -> None:
    """The true class has the largest value for most rows; gains count columns once, not once a class."""
    columns, new = _columns(4), _columns(40)
    model = _boost(columns, np.digitize(columns[:, 0], [-0.5, 0.5]).astype(np.float64), "multiclass", 3)
    prediction = model.predict(new)
    assert prediction.shape == (800, 3)
    assert prediction.sum(axis=1) == pytest.approx(np.ones(800))
    assert (prediction.argmax(axis=1) == np.digitize(new[:, 0], [-0.5, 0.5])).mean() > 0.8
    assert model.gain.shape == (5,)


def test_boosting_is_the_same_every_time_and_for_any_number_of_threads() -> None:
    """Two fits agree bit for bit, whatever the machine lends them."""
    columns = _columns(6)
    label = columns[:, 0] + np.random.default_rng(5).standard_normal(800)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(limits=threads):
            model = _boost(columns, label)
            found.append(model.predict(_columns(60)).tobytes() + model.gain.tobytes())
    assert len(set(found)) == 1


def test_sharing_the_bins_between_labels_changes_nothing() -> None:
    """A second label on the same binned columns gets what it would get alone."""
    rng = np.random.default_rng(7)
    first, second = rng.standard_normal(800), rng.standard_normal(800)
    shared = binned(_columns(8), CONFIG)
    options = {"task": "regression", "outputs": 1, "config": CONFIG, "seed": 1}
    boost(shared, first, **options)
    again = boost(shared, second, **options).predict(_columns(80))
    assert again.tobytes() == _boost(_columns(8), second).predict(_columns(80)).tobytes()


def test_few_rows_make_small_leaves() -> None:
    """With a hundred rows a leaf may hold five: there is still something to learn."""
    columns = _columns(9, rows=100)
    model = _boost(columns, (columns[:, 2] > 0).astype(np.float64))
    assert int(model.gain.argmax()) == 2
    assert _correlation(model.predict(_columns(90))[:, 0], _columns(90)[:, 2]) > 0.5
