"""A network of at most one hidden layer with slopes written by hand; many networks at once if stacked.

Weights are a dictionary: into (features, hidden) and into_bias (1, hidden), then out (hidden, outputs) and
out_bias (1, outputs); without a hidden layer only out (features, outputs) and out_bias. With further
dimensions in front, the same for all arrays and the rows, there is one network each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.cpu.links import Floats, ordered_product

Weights = Mapping[str, NDArray[Any]]


def fresh_weights(features: int, hidden: int, outputs: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return float64 weights of a network that says 0 to everything, its hidden units all different.

    `hidden` 0 gives a linear model. Glorot and Bengio (AISTATS 2010) for the first layer.
    """
    last = {"out": np.zeros((hidden or features, outputs)), "out_bias": np.zeros((1, outputs))}
    if not hidden:
        return last
    reach = np.sqrt(6.0 / (features + hidden))
    into = np.random.default_rng(seed).uniform(-reach, reach, size=(features, hidden))
    return {"into": into, "into_bias": np.zeros((1, hidden)), **last}


def forward(weights: Weights, rows: Floats) -> tuple[Floats, Floats]:
    """Return (scores (..., rows, outputs), what the last layer saw); `rows` is (..., rows, features)."""
    seen = rows
    if "into" in weights:
        seen = np.tanh(rows @ _like(weights["into"], rows) + _like(weights["into_bias"], rows))
    return seen @ _like(weights["out"], rows) + _like(weights["out_bias"], rows), seen


def backward(weights: Weights, rows: Floats, seen: Floats, slopes: Floats) -> dict[str, Floats]:
    """Return the loss' slopes by each array, given those by the scores, (..., rows, outputs)."""
    found = {"out": _turned(seen) @ slopes, "out_bias": slopes.sum(axis=-2, keepdims=True)}
    if "into" in weights:
        inner = (slopes @ _turned(_like(weights["out"], rows))) * (1.0 - seen * seen)
        found |= {"into": _turned(rows) @ inner, "into_bias": inner.sum(axis=-2, keepdims=True)}
    return found


def exact_scores(weights: Weights, rows: Floats) -> Floats:
    """Return the scores of one network, (rows, outputs), each row the same bits in any company."""
    seen = rows
    if "into" in weights:
        seen = np.tanh(ordered_product(rows, weights["into"]) + weights["into_bias"])
    return np.asarray(ordered_product(seen, weights["out"]) + weights["out_bias"])


def _like(array: NDArray[Any], rows: Floats) -> Floats:
    """Return the array in the type of the rows: products of float32 rows stay float32."""
    return array.astype(rows.dtype, copy=False)


def _turned(array: Floats) -> Floats:
    return np.swapaxes(array, -1, -2)
