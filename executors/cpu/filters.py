"""What is known of a hidden state bar by bar: the forward filter, and the smoother only training may use.

After Hamilton (A New Approach to the Economic Analysis of Nonstationary Time Series, Econometrica 1989). Both
are one recursion of small matrices, done in blocks of bars side by side: what comes out for a bar is computed
from that bar and those before it by the same operations in the same order, however many come after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK_BARS = 64
_TINY = 1e-300


def filtered(likelihoods: Floats, transition: Floats, start: Floats) -> Floats:
    """Return P(state of bar t | observations of bars 0 to t), (bars, states).

    `likelihoods` (bars, states) of each bar's observation, up to a factor of the bar's own; `transition`
    (states, states), rows from, columns to, all positive; `start` (states,) of bar 0.
    """
    if not len(likelihoods):
        return np.zeros((0, len(start)))
    steps = _steps(likelihoods, transition)
    steps[0] = start * likelihoods[0]  # whatever was before, bar 0 begins from `start`
    return _carried(steps)


def smoothed(likelihoods: Floats, transition: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Return P(state of bar t | all observations) (bars, states), and the expected moves (states, states).

    It looks ahead: for the estimation of parameters on past data, never for a prediction.
    """
    forward = filtered(likelihoods, transition, start)
    backward = np.ones_like(forward)
    if len(forward) > 1:
        steps = _steps(likelihoods, transition)[:0:-1].transpose(0, 2, 1)
        first = np.ones((1, *steps.shape[1:]))
        backward = _carried(np.concatenate([first, steps]))[::-1]
    state = forward * backward
    state /= state.sum(axis=1, keepdims=True)
    arrivals = likelihoods[1:] * backward[1:]  # (bars - 1, states)
    seen = (forward[:-1] @ transition * arrivals).sum(axis=1)
    moves = transition * (forward[:-1].T @ (arrivals / np.maximum(seen, _TINY)[:, None]))
    return state, moves


def evidence(likelihoods: Floats, transition: Floats, start: Floats, states: Floats) -> float:
    """Return the log-likelihood of all bars, given the filtered `states` (bars, states)."""
    before = np.concatenate([start[None], states[:-1] @ transition])
    return float(np.log(np.maximum((before * likelihoods).sum(axis=1), _TINY)).sum())


def relative(log_likelihoods: Floats) -> tuple[Floats, Floats]:
    """Return (likelihoods relative to those of the bar's best state, the logarithms of these, (bars,))."""
    best = log_likelihoods.max(axis=1)
    return np.exp(log_likelihoods - best[:, None]), best


def sticky(states: int, leaving: float) -> Floats:
    """Return the transition matrix of a state that ends with probability `leaving` and then is any state."""
    return np.asarray(np.full((states, states), leaving / states) + (1.0 - leaving) * np.eye(states))


def _steps(likelihoods: Floats, transition: Floats) -> Floats:
    """Return the matrix of each bar: a move, then its observation, (bars, states, states)."""
    return np.asarray(transition[None] * likelihoods[:, None, :])


def _carried(steps: Floats) -> Floats:
    """Return an even row vector carried through the matrices (bars, states, states), summing to 1 at each."""
    bars, states, _ = steps.shape
    blocks = -(-bars // _BLOCK_BARS)
    padded = np.ones((blocks * _BLOCK_BARS, states, states))
    padded[:bars] = steps
    padded = padded.reshape(blocks, _BLOCK_BARS, states, states)
    products = np.empty_like(padded)
    products[:, 0] = padded[:, 0]
    for place in range(1, _BLOCK_BARS):
        product = _product(products[:, place - 1], padded[:, place])
        products[:, place] = product / np.maximum(product.max(axis=(1, 2)), _TINY)[:, None, None]
    begins = np.empty((blocks, states))
    state = np.full(states, 1.0 / states)
    for block in range(blocks):
        begins[block] = state
        state = _rows_sum(state[:, None] * products[block, -1])
    carried = _rows_sum((begins[:, None, :, None] * products).transpose(2, 0, 1, 3))
    found = carried.reshape(-1, states)[:bars]
    return np.asarray(found / np.maximum(found.sum(axis=1), _TINY)[:, None])


def _product(first: Floats, second: Floats) -> Floats:
    """Multiply (blocks, states, states) one by one, in an order that no number of blocks changes."""
    total = first[:, :, 0, None] * second[:, None, 0, :]
    for state in range(1, first.shape[1]):
        total += first[:, :, state, None] * second[:, None, state, :]
    return np.asarray(total)


def _rows_sum(parts: Floats) -> Floats:
    """Add `parts` along their first axis from the first to the last, and let the total be 1."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return np.asarray(total / np.maximum(total.sum(axis=-1), _TINY)[..., None])
