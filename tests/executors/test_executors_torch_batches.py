"""What lies on the device: standardised features, labels and weights by row, and batches gathered of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from network_loops import session_of

from executors.contract import FitSpec
from executors.gpu.batches import labelled_rows
from executors.gpu.recipe import Further
from executors.preprocessing import Standardisation

SpecMaker = Callable[..., FitSpec]


def test_features_are_standardised_by_what_training_rows_say(make_spec: SpecMaker) -> None:
    """Column by column to the same bits as all at once, and by no other row."""
    session = session_of(make_spec(family="LSTM"))
    data = session.data
    rows, standardisation = labelled_rows(session, window=3, device="cpu")
    expected = Standardisation.fitted(data.features_at(data.train))
    for name in ("median", "mean", "scale"):
        assert getattr(standardisation, name).tobytes() == getattr(expected, name).tobytes()
    matrix = expected.applied(data.features_at(slice(0, data.panel.rows)))
    got = rows.batch(rows.places_of(data.valid[:9])).windows[:, -1].numpy()
    assert got.tobytes() == matrix[data.valid[:9]].tobytes()
    other = Standardisation.fitted(data.features_at(np.concatenate([data.train, data.valid])))
    assert other.mean.tobytes() != expected.mean.tobytes()


def test_a_batch_has_the_labels_and_weights_of_its_rows(make_spec: SpecMaker) -> None:
    """In any order; of one symbol's fit, rows are counted from that symbol's first."""
    spec = make_spec(family="LSTM", training_type="symbol_specific", symbol="CCC", target="y_up_1d")
    session = session_of(spec, class_balance=1.0)
    data = session.data
    labelled, _ = labelled_rows(session, window=3, device="cpu")
    assert len(labelled.labels) == 500
    some = np.random.default_rng(2).permutation(len(data.train))[:50]
    batch = labelled.batch(labelled.places_of(data.train[some]))
    assert batch.labels.numpy().tobytes() == data.encoded_at(data.train[some]).tobytes()
    assert batch.weights.numpy().tobytes() == session.weights()[some].tobytes()
    assert tuple(batch.windows.shape) == (50, 3, len(data.features))
    assert tuple(batch.others.shape) == (50, 0)


def test_validation_rows_weigh_as_their_classes_do(make_spec: SpecMaker) -> None:
    """What is trained on balanced classes is stopped by them too; without balancing all rows are one."""
    plain = session_of(make_spec(family="LSTM", target="y_class_1d"))
    rows, _ = labelled_rows(plain, window=3, device="cpu")
    assert set(rows.batch(rows.places_of(plain.data.valid)).weights.tolist()) == {1.0}
    balanced = session_of(make_spec(family="LSTM", target="y_class_1d"), class_balance=1.0)
    rows, _ = labelled_rows(balanced, window=3, device="cpu")
    batch = rows.batch(rows.places_of(balanced.data.valid))
    expected = torch.tensor(balanced.data.code.class_weights)[batch.labels.long()]
    assert torch.equal(batch.weights, expected)


def test_rows_that_are_neither_trained_nor_validated_on_carry_no_label(make_spec: SpecMaker) -> None:
    """The labels of test rows are not even on the device."""
    session = session_of(make_spec(family="LSTM"))
    labelled, _ = labelled_rows(session, window=3, device="cpu")
    batch = labelled.batch(labelled.places_of(session.data.test))
    assert not batch.labels.any()
    assert not batch.weights.any()


def test_further_targets_come_with_their_rows(make_spec: SpecMaker) -> None:
    """What a family learns beside its own target is handed on as it was found, unknown labels as NaN."""
    session = session_of(make_spec(family="LSTM"))
    labels = np.random.default_rng(1).standard_normal((session.data.panel.rows, 2)).astype(np.float32)
    labels[::3, 1] = np.nan
    further = Further(tasks=(("regression", 1), ("binary", 1)), labels=labels, outline={})
    labelled, _ = labelled_rows(session, window=3, device="cpu", further=further)
    some = session.data.train[:40]
    assert labelled.batch(labelled.places_of(some)).others.numpy().tobytes() == labels[some].tobytes()
