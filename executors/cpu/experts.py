"""Linear experts around a common model: one ridge or softmax regression a regime, pulled to that of all rows.

Each expert's coefficients are those of the common model plus a penalised difference, as if drawn around it
(Lindley and Smith, Bayes Estimates for the Linear Model, JRSS B 1972): a regime of few rows says little of
its own. Hoerl and Kennard (Technometrics 1970) for the ridge; classes by penalised likelihood, by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

_BLOCK_ROWS = 8192
_FREE = 1e-6  # penalty of what is not penalised, so that there is one optimum
_MOST_ITERATIONS = 200
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows as an expert learns them.

    Attributes:
        values: (rows, features) float32, standardised and all finite.
        labels: (rows,) float64 encoded: standardised numbers, or places of classes.
        task: "regression", "binary" or "multiclass".
        outputs: answers per row, one, or one per class of a multiclass target.
    """

    values: NDArray[np.float32]
    labels: Floats
    task: str
    outputs: int


def fitted(sample: Sample, weights: Floats, centre: Floats, penalties: Floats) -> Floats:
    """Return coefficients (features + 1, outputs), the constant last, that fit the weighted rows best.

    `centre` (features + 1, outputs) is where the penalised squares are zero, `penalties` (features + 1,) are
    in units of rows.
    """
    if sample.task == "regression":
        return ridge(*moments(sample, weights), centre, penalties)
    return _classifier(sample, weights, centre, penalties)


def moments(sample: Sample, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weighted sums of products (features + 1, features + 1) and with labels (features + 1,)."""
    size = sample.values.shape[1] + 1
    products, with_labels = np.zeros((size, size)), np.zeros(size)
    for rows, values in _blocks(sample.values):
        weighted = values * weights[rows, None]
        products += weighted.T @ values
        with_labels += weighted.T @ sample.labels[rows]
    return products, with_labels


def ridge(products: Floats, with_labels: Floats, centre: Floats, penalties: Floats) -> Floats:
    """Return the coefficients (features + 1, 1) of the penalised least squares with these moments."""
    right = with_labels[:, None] + penalties[:, None] * centre
    return np.asarray(np.linalg.solve(products + np.diag(penalties), right))


def penalties_of(size: int, strength: float, total: float, *, free_constant: bool) -> Floats:
    """Return the penalty of each of `size` coefficients, `strength` times the weight of all rows."""
    found = np.full(size, max(strength, _FREE) * total)
    if free_constant:
        found[-1] = _FREE * total
    return found


def answers(values: NDArray[np.float32], coefficients: Floats) -> Floats:
    """Return the linear answers (rows, outputs), the same bits for a row alone and among others."""
    found = np.empty((len(values), coefficients.shape[1]))
    for rows, block in _blocks(values):
        for output in range(coefficients.shape[1]):
            found[rows, output] = (block * coefficients[:, output]).sum(axis=1)
    return found


def predicted(values: NDArray[np.float32], experts: Floats, task: str) -> Floats:
    """Return what each expert (experts, features + 1, outputs) says, (rows, experts, outputs).

    Numbers as standardised labels, probabilities for classes.
    """
    found = np.empty((len(values), len(experts), experts.shape[2]))
    for number, coefficients in enumerate(experts):
        found[:, number] = _as_probabilities(answers(values, coefficients), task)
    return found


def mixed(said: Floats, shares: Floats) -> Floats:
    """Return the mean of what the experts said (rows, experts, outputs) by their shares (rows, experts)."""
    total = said[:, 0] * shares[:, 0, None]
    for number in range(1, said.shape[1]):
        total += said[:, number] * shares[:, number, None]
    return np.asarray(total)


def losses(said: Floats, labels: Floats, task: str) -> Floats:
    """Return each row's squared error or log loss for predictions (rows, ..., outputs), (rows, ...)."""
    extra = (slice(None), *([None] * (said.ndim - 2)))
    if task == "regression":
        return np.asarray((said[..., 0] - labels[extra]) ** 2)
    if task == "binary":
        right = np.where(labels[extra] > 0.5, said[..., 0], 1.0 - said[..., 0])
    else:
        places = labels.astype(np.int64)[(*extra, None)]
        right = np.take_along_axis(said, np.broadcast_to(places, (*said.shape[:-1], 1)), axis=-1)[..., 0]
    return np.asarray(-np.log(np.maximum(right, _LEAST_PROBABILITY)))


def _blocks(values: NDArray[np.float32]) -> Iterator[tuple[slice, Floats]]:
    """Go through the rows in pieces as float64 with a last column of ones."""
    for begin in range(0, len(values), _BLOCK_ROWS):
        part = values[begin : begin + _BLOCK_ROWS].astype(np.float64)
        yield slice(begin, begin + len(part)), np.column_stack([part, np.ones(len(part))])


def _as_probabilities(found: Floats, task: str) -> Floats:
    if task == "regression":
        return found
    if task == "binary":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * found)))
    exponents = np.exp(found - found.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _classifier(sample: Sample, weights: Floats, centre: Floats, penalties: Floats) -> Floats:
    """Return the penalised maximum likelihood coefficients of a logistic or softmax regression."""
    shape, places = centre.shape, sample.labels.astype(np.int64)
    per_row = max(float(weights.sum()), 1.0)

    def objective(flat: Floats) -> tuple[float, Floats]:
        coefficients = flat.reshape(shape)
        apart = coefficients - centre
        loss = 0.5 * float((penalties[:, None] * apart**2).sum())
        slope = penalties[:, None] * apart
        for rows, values in _blocks(sample.values):
            said = _as_probabilities(values @ coefficients, sample.task)
            found = losses(said, sample.labels[rows], sample.task)
            loss += float(weights[rows] @ found)
            wrong = said.copy()
            if sample.task == "binary":
                wrong[:, 0] -= sample.labels[rows]
            else:
                wrong[np.arange(len(wrong)), places[rows]] -= 1.0
            slope = slope + values.T @ (wrong * weights[rows, None])
        return loss / per_row, slope.reshape(-1) / per_row

    options = {"maxiter": _MOST_ITERATIONS, "gtol": 1e-7, "ftol": 1e-11}
    found = minimize(objective, centre.reshape(-1), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64).reshape(shape)
