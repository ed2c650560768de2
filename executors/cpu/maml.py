"""First-order model-agnostic meta-learning on small networks, all tasks of a step at once.

Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017, with
the first-order gradient of their section 5.2 (see Nichol, Achiam and Schulman, 2018): the slope of the loss
after the adaptation is taken for that of the loss by the initial weights. The rates of adaptation are learnt
too, one per array (Li et al., "Meta-SGD", 2017), so that adaptation dies away where tasks do not differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.cpu.links import losses, slopes
from executors.cpu.meta_tasks import Samples
from executors.cpu.tanh_net import backward, forward

Arrays = Mapping[str, NDArray[Any]]

#: Prefix of the arrays (1,) that hold the logarithm of a weight array's rate of adaptation.
RATE = "log_rate."

LOWEST_RATE, HIGHEST_RATE = 1e-4, 1.0


def with_rates(weights: Arrays, rate: float) -> dict[str, NDArray[Any]]:
    """Return the weights together with the logarithms of their rates, all `rate` to begin with."""
    return {**weights, **{RATE + name: np.array([np.log(rate)]) for name in weights}}


def weights_in(learnt: Arrays) -> dict[str, NDArray[Any]]:
    """Return the initial weights among what is learnt."""
    return {name: array for name, array in learnt.items() if not name.startswith(RATE)}


def adapted(
    task: str, learnt: Arrays, shots: Samples, steps: int
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Go `steps` steps down each task's own loss; return (weights (tasks, ...), sum of the slopes gone)."""
    count = len(shots.features)
    weights = {
        name: np.broadcast_to(array, (count, *array.shape)) for name, array in weights_in(learnt).items()
    }
    gone = {name: np.zeros(array.shape) for name, array in weights.items()}
    for _ in range(steps):
        _, found = _loss_and_slopes(task, weights, shots)
        gone = {name: gone[name] + found[name] for name in weights}
        rates = {name: np.exp(learnt[RATE + name][0]) for name in weights}
        weights = {name: array - rates[name] * found[name] for name, array in weights.items()}
    return weights, gone


def loss_and_slopes(
    task: str, learnt: Arrays, shots: Samples, queries: Samples, steps: int
) -> tuple[float, dict[str, NDArray[Any]]]:
    """Return the mean loss of the queries after adaptation, and its first-order slopes by what is learnt.

    Adapted weights are the initial ones less rate x slopes gone, so by the logarithm of a rate the loss
    slopes like minus rate x slopes gone x its slopes by the adapted weights.
    """
    weights, gone = adapted(task, learnt, shots, steps)
    loss, by_weights = _loss_and_slopes(task, weights, queries)
    count = len(shots.features)
    found = {name: array.sum(axis=0) / count for name, array in by_weights.items()}
    for name in by_weights:
        rate = np.exp(learnt[RATE + name])
        found[RATE + name] = -rate * float((by_weights[name] * gone[name]).sum()) / count
    return loss, found


def bounded(learnt: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what is learnt with every rate of adaptation between LOWEST_RATE and HIGHEST_RATE."""
    low, high = np.log(LOWEST_RATE), np.log(HIGHEST_RATE)
    return {
        name: np.clip(array, low, high) if name.startswith(RATE) else array for name, array in learnt.items()
    }


def _loss_and_slopes(
    task: str, weights: Arrays, samples: Samples
) -> tuple[float, dict[str, NDArray[np.floating[Any]]]]:
    """Return the mean over tasks of their weighted losses, and each task's slopes (tasks, ...)."""
    scores, seen = forward(weights, samples.features)  # (tasks, rows, outputs)
    flat, labels = scores.reshape(-1, scores.shape[-1]), samples.labels.reshape(-1)
    loss = losses(task, flat, labels) @ samples.weights.reshape(-1) / len(scores)
    down = slopes(task, flat, labels).reshape(scores.shape) * samples.weights[..., None]
    return float(loss), backward(weights, samples.features, seen, down)
