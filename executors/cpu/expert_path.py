"""The path of penalties: a common model from stiff to free, then experts around the best one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from executors.cpu.experts import Sample, fitted, losses, mixed, moments, penalties_of, predicted, ridge
from executors.dataset import FitData
from executors.estimating import Arrays
from executors.preprocessing import LabelCode, Standardisation

Floats = NDArray[np.float64]

#: In weights of all rows: with standardised features 1 halves a coefficient and 100 all but removes it.
TOGETHER = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001)
APART = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)

STEPS = len(TOGETHER) + len(APART)

#: Experts (experts, features + 1, outputs) and the common model -> the shares of the experts and, last, of
#: the common model if it speaks too, at the validation rows: (rows, experts).
Shares = Callable[[Floats, Floats], Floats]


class ExpertPath:
    """Learns the experts of given rows; a step is one penalty, judged on the validation rows."""

    def __init__(self, train: Sample, valid: Sample, weights: NDArray[np.float32], code: LabelCode) -> None:
        self._train, self._valid, self._code = train, valid, code
        self._weights = weights.astype(np.float64)
        size = train.values.shape[1] + 1
        self._together = np.zeros((size, train.outputs))
        self._experts = np.zeros((1, size, train.outputs))
        self._lowest = np.array([np.inf])
        self._moments: list[tuple[Floats, Floats]] = []

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return the common model (the best so far), the experts of the last step, the lowest loss."""
        return {"together": self._together, "experts": self._experts, "lowest": self._lowest}

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned."""
        self._together, self._experts = state["together"], state["experts"]
        self._lowest = state["lowest"]

    def step(self, number: int, responsibilities: Floats, shares: Shares) -> tuple[float, float]:
        """Fit with the penalty of step `number` (from 0); return the training and the validation loss.

        `responsibilities` (training rows, experts) say how much of each row is each expert's.
        """
        count = responsibilities.shape[1]
        if number < len(TOGETHER):
            common = self._of_all(TOGETHER[number])
            self._experts = np.repeat(common[None], count, axis=0)
        else:
            common = self._together
            self._experts = self._around(common, APART[number - len(TOGETHER)], responsibilities)
        valid_loss = self._valid_loss(shares(self._experts, common), common)
        if number < len(TOGETHER) and valid_loss < self._lowest[0]:
            self._together, self._lowest = common, np.array([valid_loss])
        said = predicted(self._train.values, self._experts, self._train.task)
        found = losses(mixed(said, responsibilities), self._train.labels, self._train.task)
        return float(np.average(found, weights=self._weights)), valid_loss

    def experts(self) -> tuple[Floats, Floats]:
        """Return the experts (experts, features + 1, outputs) of the last step and the common model."""
        return self._experts, self._together

    def _of_all(self, strength: float) -> Floats:
        size, total = len(self._together), float(self._weights.sum())
        penalties = penalties_of(size, strength, total, free_constant=True)
        return fitted(self._train, self._weights, np.zeros_like(self._together), penalties)

    def _around(self, common: Floats, strength: float, responsibilities: Floats) -> Floats:
        """Return one expert a column of the responsibilities, pulled to the common model."""
        total = float(self._weights.sum())
        penalties = penalties_of(len(common), strength, total, free_constant=False)
        weights = [self._weights * of_expert for of_expert in responsibilities.T]
        if self._train.task != "regression":
            return np.stack([fitted(self._train, own, common, penalties) for own in weights])
        if len(self._moments) != len(weights):  # the same for every penalty
            self._moments = [moments(self._train, own) for own in weights]
        return np.stack([ridge(*own, common, penalties) for own in self._moments])

    def _valid_loss(self, shares: Floats, common: Floats) -> float:
        speakers = self._experts
        if shares.shape[1] > len(speakers):
            speakers = np.concatenate([speakers, common[None]])
        said = mixed(predicted(self._valid.values, speakers, self._valid.task), shares)
        if self._valid.task != "regression":  # probabilities of the data as it is, not as it was weighted
            plain = self._code.decoded(said if self._valid.task == "multiclass" else said[:, 0])
            said = plain.astype(np.float64).reshape(len(said), -1)
        return float(losses(said, self._valid.labels, self._valid.task).mean())


def sample_of(data: FitData, rows: NDArray[np.int64], scaled: Standardisation) -> Sample:
    """Return `rows` of a fit as experts learn them."""
    return Sample(
        values=scaled.applied(data.features_at(rows)),
        labels=data.encoded_at(rows).astype(np.float64),
        task=data.code.task,
        outputs=data.code.outputs,
    )
