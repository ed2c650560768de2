"""Follow the regularised leader, proximally, with a learning rate for each coordinate.

McMahan, "Follow-the-Regularized-Leader and Mirror Descent: Equivalence Theorems and L1 Regularization",
AISTATS 2011; McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, algorithm 1. After
the rounds 1..t with gradients g the weights are those that minimise

    sum_s g_s w  +  t l1 |w|  +  t l2 w^2 / 2  +  sum_s sigma_s (w - w_s)^2 / 2

coordinate by coordinate, where sigma_1 + ... + sigma_t = (beta + sqrt(sum_s g_s^2)) / alpha. All there is to
remember are z (the linear part) and n (the squares); weights are made when they are needed, and a
coordinate whose gradient was zero is left as it is. The penalties are of every round, as in the paper of
2011: "t" below is counted in rows, so that they mean the same after one pass and after ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Alpha and beta of the learning rate, l1 and l2 per row: one number each, or (coordinates, outputs)."""

    alpha: float
    beta: float
    l1: Array | float
    l2: Array | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ftrl:
    """The state of all coordinates: `z` and `n`, (coordinates, outputs) float64 each, changed in place."""

    rates: Rates
    z: Array
    n: Array

    @classmethod
    def empty(cls, coordinates: int, outputs: int, rates: Rates) -> Ftrl:
        """Return the state before the first round: all weights are zero."""
        return cls(rates=rates, z=np.zeros((coordinates, outputs)), n=np.zeros((coordinates, outputs)))

    def weights(self, rows_seen: float) -> Array:
        """Return the weights after `rows_seen` rows, (coordinates, outputs); many are exactly zero."""
        rates = self.rates
        beyond = np.maximum(np.abs(self.z) - rates.l1 * rows_seen, 0.0)
        strength = (rates.beta + np.sqrt(self.n)) / rates.alpha + rates.l2 * rows_seen
        return np.asarray(-np.sign(self.z) * beyond / strength)

    def learn(self, gradient: NDArray[Any], weights: Array) -> None:
        """Take in one round's `gradient` (coordinates, outputs) at the `weights` it was measured with."""
        squares = self.n + gradient * gradient
        sigma = (np.sqrt(squares) - np.sqrt(self.n)) / self.rates.alpha
        self.z[...] += gradient - sigma * weights
        self.n[...] = squares
