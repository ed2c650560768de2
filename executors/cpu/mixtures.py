"""Gaussian mixtures whose component lasts from bar to bar, fitted by expectation and maximisation.

Hamilton (Analysis of Time Series Subject to Changes in Regime, Journal of Econometrics 1990); Baum et al.
(Annals of Mathematical Statistics 1970). The number of components by Schwarz's criterion (Annals of
Statistics 1978). Estimation looks at all bars it is given, back and forth; what is said of later bars comes
from `filters.filtered`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.cpu.filters import Floats, evidence, filtered, relative, smoothed

_RIDGE = 0.02  # prior bars x variance in each covariance, of directions scaled to 1
_PRIOR_BARS = 5.0
_PRIOR_MOVES = 0.1  # of each move from each state, so that none is impossible


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Components and how they follow each other.

    Attributes:
        start: (states,) of the first bar.
        transition: (states, states) rows from, columns to.
        means: (states, directions).
        covariances: (states, directions, directions).
    """

    start: Floats
    transition: Floats
    means: Floats
    covariances: Floats

    @classmethod
    def of_labels(cls, values: Floats, labels: NDArray[np.int64], states: int) -> Mixture:
        """Return the mixture in which bar t (of `values`, (bars, directions)) is of component labels[t]."""
        shares = np.eye(states)[labels]  # (bars, states)
        moves = shares[:-1].T @ shares[1:]
        return _maximised(values, shares, moves)

    @property
    def states(self) -> int:
        """Number of components."""
        return len(self.start)

    def log_densities(self, values: Floats) -> Floats:
        """Return the log density of each bar in each component, (bars, states).

        Added up element by element: a bar's bits do not depend on how many bars there are.
        """
        found = np.empty((len(values), self.states))
        for state in range(self.states):
            lower = np.linalg.cholesky(self.covariances[state])
            whitening = np.linalg.inv(lower)  # (directions, directions)
            apart = values - self.means[state]
            total = np.full(len(values), np.log(np.diag(lower)).sum() * -2.0)
            for row in whitening:
                total -= (apart * row).sum(axis=1) ** 2
            found[:, state] = 0.5 * total - 0.5 * values.shape[1] * np.log(2.0 * np.pi)
        return found

    def states_of(self, values: Floats) -> Floats:
        """Return P(component of bar t | bars 0 to t), (bars, states): filtered, never smoothed."""
        likelihoods, _ = relative(self.log_densities(values))
        return filtered(likelihoods, self.transition, self.start)

    def improved(self, values: Floats) -> tuple[Mixture, float]:
        """Return the mixture after one more iteration, and the log-likelihood of the one before it."""
        likelihoods, best = relative(self.log_densities(values))
        known = filtered(likelihoods, self.transition, self.start)
        total = evidence(likelihoods, self.transition, self.start, known) + float(best.sum())
        shares, moves = smoothed(likelihoods, self.transition, self.start)
        return _maximised(values, shares, moves), total

    def criterion(self, log_likelihood: float, bars: int) -> float:
        """Return Schwarz's criterion, the smaller the better."""
        states, directions = self.means.shape
        per_state = directions + directions * (directions + 1) / 2
        free = states * per_state + states * (states - 1) + states - 1
        return float(-2.0 * log_likelihood + free * np.log(max(2, bars)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays, name -> array."""
        return {
            "start": self.start,
            "transition": self.transition,
            "means": self.means,
            "covariances": self.covariances,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Mixture:
        """Read what `arrays` returned."""
        names = ("start", "transition", "means", "covariances")
        return cls(**{name: np.asarray(arrays[name], dtype=np.float64) for name in names})


def _maximised(values: Floats, shares: Floats, moves: Floats) -> Mixture:
    """Return the mixture under which bars of these shares (bars, states) and moves are likeliest.

    A little prior (a posteriori mode rather than likelihood) keeps covariances from collapsing on few
    bars and moves from becoming impossible.
    """
    states, directions = shares.shape[1], values.shape[1]
    weights = shares.sum(axis=0)
    means = (shares.T @ values) / np.maximum(weights, 1e-9)[:, None]
    covariances = np.empty((states, directions, directions))
    for state in range(states):
        apart = values - means[state]
        scatter = (apart * shares[:, state, None]).T @ apart
        prior = _PRIOR_BARS * _RIDGE * np.eye(directions)
        covariances[state] = (scatter + prior) / (weights[state] + _PRIOR_BARS * _RIDGE)
    counts = moves + _PRIOR_MOVES
    start = shares[0] + _PRIOR_MOVES
    return Mixture(
        start=start / start.sum(),
        transition=counts / counts.sum(axis=1, keepdims=True),
        means=means,
        covariances=covariances,
    )
