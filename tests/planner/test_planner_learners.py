"""The two small learners: right on known data, blind to the test rows' labels, the same every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from planner.config import RankingConfig
from planner.learners import FoldFit, FoldRows, fit_fold, thread_count

CONFIG = RankingConfig(boosting_rounds=20)


def _rows(seed: int = 0, train: int = 800, test: int = 400, features: int = 5) -> FoldRows:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((train + test, features)).astype(np.float32)
    return FoldRows(train=values[:train], test=values[train:])


def _fit(
    rows: FoldRows, label: npt.NDArray[np.float64], task: str = "regression", classes: int = 0
) -> FoldFit:
    return fit_fold(rows, label, task=task, classes=classes, config=CONFIG, seed=1)


def _correlation(one: npt.NDArray[np.float64], two: npt.NDArray[np.floating]) -> float:
    return float(np.corrcoef(one, two)[0, 1])


def test_a_linear_target_is_predicted_and_its_feature_leads() -> None:
    """The feature that drives the label has the largest correlation, coefficient and gain."""
    rows = _rows()
    label = 2.0 * rows.train[:, 3].astype(np.float64) + 0.5 * np.random.default_rng(1).standard_normal(800)
    fit = _fit(rows, label)
    assert _correlation(fit.prediction, rows.test[:, 3]) > 0.95
    assert [int(np.abs(part).argmax()) for part in (fit.correlation, fit.ridge, fit.gain)] == [3, 3, 3]


def test_a_target_of_the_size_of_a_feature_is_found_by_boosting() -> None:
    """What no straight line can say is predicted through the trees."""
    rows = _rows(2)
    label = np.abs(rows.train[:, 0].astype(np.float64))
    assert _correlation(_fit(rows, label).prediction, np.abs(rows.test[:, 0])) > 0.8


def test_a_binary_target_gives_probabilities() -> None:
    """The prediction of classes 0 and 1 lies between 0 and 1 and grows with the chance of 1."""
    rows = _rows(3)
    label = (rows.train[:, 1] > 0).astype(np.float64)
    prediction = _fit(rows, label, "binary", 2).prediction
    assert prediction.shape == (400,)
    assert prediction.min() >= 0.0
    assert prediction.max() <= 1.0
    assert _correlation(prediction, rows.test[:, 1]) > 0.7


def test_several_classes_give_a_column_each() -> None:
    """The true class has the largest value for most rows."""
    rows = _rows(4)
    label = np.digitize(rows.train[:, 0], [-0.5, 0.5]).astype(np.float64)
    prediction = _fit(rows, label, "multiclass", 3).prediction
    assert prediction.shape == (400, 3)
    truth = np.digitize(rows.test[:, 0], [-0.5, 0.5])
    assert (prediction.argmax(axis=1) == truth).mean() > 0.8


def test_the_same_rows_give_the_same_bytes() -> None:
    """Two fits of the same fold agree bit for bit."""
    label = np.random.default_rng(5).standard_normal(800)
    assert _fit(_rows(6), label).prediction.tobytes() == _fit(_rows(6), label).prediction.tobytes()


def test_sharing_the_bins_between_targets_changes_nothing() -> None:
    """A second target on the same binned rows gets what it would get alone."""
    rng = np.random.default_rng(7)
    first, second = rng.standard_normal(800), rng.standard_normal(800)
    shared = _rows(8)
    _fit(shared, first)
    assert _fit(shared, second).prediction.tobytes() == _fit(_rows(8), second).prediction.tobytes()


def test_the_test_rows_do_not_touch_the_scaling() -> None:
    """Means, spreads and cut points are those of the training rows, whatever comes later."""
    rows = _rows(9)
    shifted = FoldRows(train=rows.train, test=rows.test + 1000.0)
    assert (shifted.train_z == rows.train_z).all()
    assert np.abs(rows.train_z.mean(axis=0)).max() < 0.05
    assert rows.train_z.std(axis=0) == pytest.approx(np.ones(5), abs=0.1)


def test_missing_and_constant_features_do_no_harm() -> None:
    """Missing values count as the mean, a constant or empty column as nothing; predictions stay finite."""
    values = _rows(10)
    train, test = values.train.copy(), values.test.copy()
    train[::3, 0] = np.nan
    test[:, 0] = np.nan
    train[:, 1] = 7.0
    train[:, 2] = np.nan
    label = 1.0 * train[:, 3].astype(np.float64)
    fit = _fit(FoldRows(train=train, test=test), label)
    assert np.isfinite(fit.prediction).all()
    assert (fit.ridge[1], fit.ridge[2]) == (0.0, 0.0)
    assert _correlation(fit.prediction, test[:, 3]) > 0.9


def test_a_few_wild_labels_do_not_spoil_the_fit() -> None:
    """Label tails are cut before fitting: four absurd values leave the rest predicted."""
    rows = _rows(11)
    label = rows.train[:, 0].astype(np.float64)
    label[[5, 50, 500, 700]] = 1e9
    assert _correlation(_fit(rows, label).prediction, rows.test[:, 0]) > 0.9


def test_boosting_sees_only_screened_features() -> None:
    """With more features than the screen lets through, the others have no gain; the best is among them."""
    rng = np.random.default_rng(12)
    values = rng.standard_normal((900, 30)).astype(np.float32)
    rows = FoldRows(train=values[:600], test=values[600:])
    config = RankingConfig(boosting_rounds=5, max_screened_features=4)
    label = values[:600, 17].astype(np.float64)
    fit = fit_fold(rows, label, task="regression", classes=0, config=config, seed=1)
    assert (fit.gain > 0).sum() <= 4
    assert int(fit.gain.argmax()) == 17


def test_small_folds_take_one_thread() -> None:
    """Threads are started only where there are rows for them."""
    assert thread_count(1_000) == 1
    assert 1 <= thread_count(10**9) <= 8
