"""From scores to answers, losses and slopes: squared error, logistic and softmax, in numpy.

Scores are (rows, outputs): the encoded value, the log-odds of the larger class, or one number per class.
Labels are as LabelCode encodes them, (rows,). Nothing here mixes rows, so a row's numbers do not depend on
the rows beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_BLOCK_ROWS = 8_192


def answers(task: str, scores: Floats) -> Floats:
    """Return what LabelCode.decoded takes: (rows,), of a multiclass target (rows, classes)."""
    if task == "multiclass":
        return _softmax(scores)
    return _sigmoid(scores[:, 0]) if task == "binary" else scores[:, 0]


def losses(task: str, scores: Floats, labels: Floats) -> Floats:
    """Return each row's loss, (rows,): half the squared error, or minus the log of the true class' share."""
    if task == "regression":
        return np.asarray(0.5 * (scores[:, 0] - labels) ** 2)
    if task == "binary":
        return np.asarray(np.logaddexp(0.0, scores[:, 0]) - labels * scores[:, 0])
    highest = scores.max(axis=1)
    logs = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    return np.asarray(logs - scores[np.arange(len(labels)), labels.astype(np.int64)])


def slopes(task: str, scores: Floats, labels: Floats) -> Floats:
    """Return the derivative of each row's loss by its scores, (rows, outputs): answer minus truth."""
    if task != "multiclass":
        return np.asarray((answers(task, scores) - labels)[:, None])
    found = _softmax(scores)
    found[np.arange(len(labels)), labels.astype(np.int64)] -= 1.0
    return found


def constant_scores(task: str, outputs: int, labels: Floats, weights: Floats) -> NDArray[np.float64]:
    """Return the scores of the best forecast that is the same for all rows, (outputs,)."""
    if task == "regression":
        return np.array([np.average(labels, weights=weights)], dtype=np.float64)
    shares = np.bincount(labels.astype(np.int64), weights=weights, minlength=max(2, outputs)) / weights.sum()
    logs = np.log(np.clip(shares, 1e-6, 1.0))
    return logs if task == "multiclass" else np.array([logs[1] - logs[0]])


def ordered_product(values: Floats, weights: Floats) -> Floats:
    """Return values (rows, k) times weights (k, outputs), added up in the order of k.

    Libraries of linear algebra add in an order that depends on how many rows there are. Here a row has the
    same bits alone and among a million.
    """
    total = np.zeros((len(values), weights.shape[1]), dtype=np.result_type(values, weights))
    for begin in range(0, len(values), _BLOCK_ROWS):
        block, sums = values[begin : begin + _BLOCK_ROWS], total[begin : begin + _BLOCK_ROWS]
        for place in range(weights.shape[0]):
            sums += block[:, place : place + 1] * weights[place]
    return total


def _sigmoid(scores: Floats) -> Floats:
    small = np.exp(-np.abs(scores))  # never above one
    return np.asarray(np.where(scores >= 0, 1.0, small) / (1.0 + small))


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
