"""How far predictions are from what came true, in a unit that does not depend on the label's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.dataset import FitData

_UNLIKELY = 1e-12  # a certain forecast that was wrong costs much, not everything


def mean_loss(data: FitData, prediction: NDArray[Any], rows: NDArray[np.int64]) -> float:
    """Return the mean squared error in units of the training labels' variance, or the log loss.

    `prediction`, (rows,) or (rows, classes), belongs to the panel rows `rows`; rows it says nothing of (NaN)
    are left out. NaN when none is left.
    """
    known = np.isfinite(prediction).reshape(len(rows), -1).all(axis=1)
    if not known.any():
        return float("nan")
    labels = data.labels_at(rows[known])
    if data.code.task == "regression":
        return float(np.mean(((prediction[known] - labels) / data.code.scale) ** 2))
    likely = likelihood(prediction[known], data.code.encoded(labels).astype(np.int64))
    return float(-np.mean(np.log(np.clip(likely, _UNLIKELY, 1.0))))


def likelihood(probabilities: NDArray[Any], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability given to the class that came true, (rows,).

    `probabilities` is (rows,), of the larger class, or (rows, classes); `places` (rows,) the classes' places.
    """
    if probabilities.ndim == 2:
        return np.asarray(probabilities[np.arange(len(places)), places], dtype=np.float64)
    return np.asarray(np.where(places == 1, probabilities, 1.0 - probabilities), dtype=np.float64)
