"""Adam (Kingma and Ba, ICLR 2015) on a dictionary of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_MEAN, _SQUARE, _SAFE = 0.9, 0.999, 1e-8


class Adam:
    """The averages of slopes and squared slopes behind the steps of some arrays; float64 throughout."""

    def __init__(self, arrays: Arrays) -> None:
        self._mean = {name: np.zeros(array.shape) for name, array in arrays.items()}
        self._square = {name: np.zeros(array.shape) for name, array in arrays.items()}

    def stepped(self, arrays: Arrays, slopes: Arrays, *, number: int, rate: float) -> dict[str, NDArray[Any]]:
        """Return the arrays after step `number` (from 1) down the `slopes`; new arrays of the same types."""
        moved = {}
        for name, array in arrays.items():
            mean, square = self._mean[name], self._square[name]
            mean += (1.0 - _MEAN) * (slopes[name] - mean)
            square += (1.0 - _SQUARE) * (slopes[name] ** 2 - square)
            size = np.sqrt(square / (1.0 - _SQUARE**number)) + _SAFE
            moved[name] = (array - rate * mean / (1.0 - _MEAN**number) / size).astype(array.dtype)
        return moved

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the averages under names of their own."""
        means = {f"adam.mean.{name}": array for name, array in self._mean.items()}
        return means | {f"adam.square.{name}": array for name, array in self._square.items()}

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned, found among other arrays."""
        for name in self._mean:
            self._mean[name] = state[f"adam.mean.{name}"]
            self._square[name] = state[f"adam.square.{name}"]
