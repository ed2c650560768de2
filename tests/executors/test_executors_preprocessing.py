"""What is done to features and labels before a model sees them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from executors.preprocessing import LabelCode, Standardisation

NAN = np.float32("nan")


def test_missing_values_become_the_training_median() -> None:
    """The median of the training rows stands in, whatever other rows hold."""
    fitted = Standardisation.fitted(np.array([[1.0], [2.0], [9.0], [NAN]], dtype=np.float32))
    assert fitted.median.tolist() == [2.0]
    assert fitted.applied(np.array([[NAN]], dtype=np.float32)) == fitted.applied(
        np.array([[2.0]], dtype=np.float32)
    )


def test_training_columns_come_out_with_mean_zero_and_scale_one() -> None:
    """Standardisation does what it is called, columns of any size."""
    values = np.random.default_rng(1).normal([5.0, -1e4], [0.01, 300.0], (1000, 2)).astype(np.float32)
    out = Standardisation.fitted(values).applied(values)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-3)


def test_empty_and_constant_columns_stay_finite() -> None:
    """A column without a value or without variation becomes zeros."""
    values = np.array([[NAN, 0.1], [NAN, 0.1], [NAN, 0.1]], dtype=np.float32)
    out = Standardisation.fitted(values).applied(values)
    np.testing.assert_allclose(out, 0, atol=1e-6)


def test_extreme_values_are_cut() -> None:
    """One bad tick, or infinity, cannot drown a batch."""
    fitted = Standardisation.fitted(np.array([[0.0], [1.0]], dtype=np.float32))
    assert fitted.applied(np.array([[1e30], [-1e30], [np.inf]], dtype=np.float32)).tolist() == [
        [8.0],
        [-8.0],
        fitted.applied(np.array([[0.5]], dtype=np.float32)).tolist()[0],
    ]


def test_both_survive_json_bit_for_bit() -> None:
    """What is saved beside a model is what was fitted."""
    values = np.random.default_rng(2).standard_normal((50, 3)).astype(np.float32)
    fitted = Standardisation.fitted(values)
    read = Standardisation.from_json(json.loads(json.dumps(fitted.to_json())))
    assert read.applied(values).tobytes() == fitted.applied(values).tobytes()
    code = LabelCode.fitted("regression", (), values[:, 0])
    assert LabelCode.from_json(json.loads(json.dumps(code.to_json()))) == code


def test_regression_labels_are_learnt_in_units_of_their_spread() -> None:
    """Tiny returns become numbers near one, and come back in their own unit."""
    labels = np.array([1e-4, -2e-4, 3e-4, 0.0], dtype=np.float32)
    code = LabelCode.fitted("regression", (), labels)
    encoded = code.encoded(labels)
    assert float(encoded.std()) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(code.decoded(encoded), labels, rtol=1e-5, atol=1e-10)


def test_classes_are_learnt_by_their_place() -> None:
    """Classes of any value become 0, 1, 2, ascending; probabilities are left as they are."""
    code = LabelCode.fitted("multiclass", (1.0, -1.0, 0.1), np.zeros(1, dtype=np.float32))
    assert code.encoded(np.array([-1.0, 0.1, 1.0], dtype=np.float32)).tolist() == [0.0, 1.0, 2.0]
    assert code.outputs == 3
    probabilities = np.array([[0.2, 0.3, 0.5]], dtype=np.float32)
    assert code.decoded(probabilities).tobytes() == probabilities.tobytes()
    assert LabelCode.fitted("binary", (-1.0, 1.0), np.zeros(1, dtype=np.float32)).outputs == 1
