"""A model of natural gradient boosting as arrays: what predicts, without the library that grew it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.regression_trees import TreeArrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The trees of some rounds, one a round and parameter of the distribution, and what they begin with.

    Attributes:
        initial: (parameters,) float64, the same for all rows.
        scalings: (rounds,) float64, the answer of each round's line search.
        trees: round by round, in each parameter by parameter.
    """

    initial: NDArray[np.float64]
    scalings: NDArray[np.float64]
    trees: TreeArrays

    @property
    def rounds(self) -> int:
        """Rounds done."""
        return len(self.scalings)

    def first(self, rounds: int) -> Grown:
        """Return this model as it was after its first `rounds` rounds."""
        trees = self.trees.first(rounds * len(self.initial))
        return Grown(initial=self.initial, scalings=self.scalings[:rounds].copy(), trees=trees)

    def parameters(self, features: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
        """Return the distribution's parameters of rows with these features, (rows, parameters)."""
        begun = np.ones((len(features), len(self.initial))) * self.initial
        return self.moved(begun, features, rate, from_round=0)

    def moved(
        self, begun: NDArray[np.float64], features: NDArray[np.float32], rate: float, *, from_round: int
    ) -> NDArray[np.float64]:
        """Return where the rounds after `from_round` move the parameters `begun`, (rows, parameters).

        With the products and in the order of the library's `pred_param`, so that the bits are its bits.
        """
        count, found = len(self.initial), begun.copy()
        for number in range(from_round, self.rounds):
            answers = self.trees.answers(features, slice(number * count, (number + 1) * count))
            found -= rate * answers * self.scalings[number]
        return found

    def to_bytes(self) -> bytes:
        """Return the model as a file of safetensors."""
        arrays = {**self.trees.to_arrays(), "initial": self.initial, "scalings": self.scalings}
        return bytes(
            bytes_from_arrays({name: np.ascontiguousarray(values) for name, values in arrays.items()})
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Grown:
        """Read what `to_bytes` wrote."""
        arrays = arrays_from_bytes(content)
        trees = TreeArrays.from_arrays(arrays)
        return cls(initial=arrays["initial"], scalings=arrays["scalings"], trees=trees)
