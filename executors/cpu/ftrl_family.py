"""FTRLProximal: a sparse linear model learnt on-line, row after row in the order of time.

The algorithm is in `ftrl` (McMahan 2011; McMahan et al., KDD 2013). A row's coordinates are a constant, its
standardised features, and for each feature one of `bins` indicators, so that the model can bend; l1 sets
exactly to zero what does not help. A round is the rows of one bar, of all symbols, or of several bars until
there are `batch_rows`. Regression learns half the squared error, two classes the logistic loss, more the
softmax with one matrix of weights. `train_loss` is progressive: each row is predicted before it is learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.coordinates import Coordinates
from executors.cpu.ftrl import Ftrl, Rates
from executors.cpu.links import answers, constant_scores, losses, slopes
from executors.dataset import FitData, feature_matrix
from executors.estimating import Arrays, cpu_device, learn
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode
from executors.session import Session, Trained
from panel.aligned import Panel

MODEL = "model.safetensors"
LIBRARIES = ("safetensors",)
window_rows = one_row

#: l1 in standard errors: a coordinate whose link with the label is weaker than l1 times what chance gives on
#: the training rows (overlapping labels considered) gets no weight. l2 is per row. bins 0: no indicators.
PARAMETERS: Mapping[str, Parameter] = {
    "passes": Parameter(default=12, low=1, high=1_000),
    "patience": Parameter(default=3, low=1, high=1_000),
    "batch_rows": Parameter(default=16, low=1, high=100_000),
    "alpha": Parameter(default=0.1, low=1e-6, high=100.0),
    "beta": Parameter(default=1.0, low=0.0, high=1e6),
    "l1": Parameter(default=1.5, low=0.0, high=1e3),
    "l2": Parameter(default=0.01, low=0.0, high=1e3),
    "bins": Parameter(default=8, low=0, high=255),
}

_DENSE_NUMBERS = 2_000_000  # of a dense design matrix, 8 bytes each
_STRETCHES_A_STEP = 20  # some seconds at most, and then a look at the validation rows
_PREDICT_ROWS = 8_192


def train(session: Session) -> Trained:
    """Learn the training rows in the order of time, `passes` times; keep the weights best on validation.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data, params = session.data, session.params
    coordinates = Coordinates.fitted(data.features_at(data.train), int(params["bins"]))
    learner = _OnLine(session, coordinates)
    learned = learn(
        session,
        learner,
        cpu_device("FTRLProximal"),
        steps=int(params["passes"]) * learner.steps_per_pass,
        patience=int(params["patience"]) * learner.steps_per_pass,
        loss_before=learner.valid_loss(),
    )
    weights = learned.model["weights"]
    return Trained(
        files={
            MODEL: bytes_from_arrays({name: np.ascontiguousarray(a) for name, a in learned.model.items()})
        },
        steps=learned.steps,
        best_step=learned.best_step,
        curve=learned.curve,
        importances=dict(zip(data.features, coordinates.importances(weights), strict=True)),
        importance_method="weight",
        device=cpu_device("FTRLProximal"),
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "coordinates": coordinates.to_json(),
            "steps_per_pass": learner.steps_per_pass,
            "weights": int(weights.size),
            "weights_zero": int((weights == 0.0).sum()),
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    model = arrays_from_bytes(files[MODEL])
    labels = LabelCode.from_json(outline["labels"])
    coordinates = Coordinates.from_json(outline["coordinates"])
    scores = np.empty((len(rows), labels.outputs))
    for begin in range(0, len(rows), _PREDICT_ROWS):
        block = slice(begin, begin + _PREDICT_ROWS)
        features = feature_matrix(panel, tuple(outline["features"]), rows[block])
        scores[block] = model["constant"] + coordinates.scores(features, model["weights"])
    return labels.decoded(answers(labels.task, scores))


class _OnLine:
    """FTRL on one fit's rows; a step is a pass, or of very many rows a part of one.

    It goes by stretches that fit into memory as a dense design.
    """

    def __init__(self, session: Session, coordinates: Coordinates) -> None:
        data = session.data
        self._data, self._coordinates = data, coordinates
        self._rows, order = _in_time(data)
        self._labels = data.encoded_at(self._rows).astype(np.float64)
        self._weights = session.weights()[order].astype(np.float64)
        self._constant = constant_scores(data.code.task, data.code.outputs, self._labels, self._weights)
        starts = _batch_starts(data.panel.time_codes[self._rows], int(session.params["batch_rows"]))
        stretches = _stretches(starts, max(1, _DENSE_NUMBERS // coordinates.count))
        firsts = range(0, len(stretches), _STRETCHES_A_STEP)
        self._steps = [stretches[first : first + _STRETCHES_A_STEP] for first in firsts]
        self._valid_features = data.features_at(data.valid)
        self._valid_labels = data.encoded_at(data.valid).astype(np.float64)
        rates = _rates(session, coordinates.count, self._spread())
        self._ftrl = Ftrl.empty(coordinates.count, data.code.outputs, rates)
        self._rows_seen = 0

    @property
    def steps_per_pass(self) -> int:
        """Steps that make one pass over the training rows."""
        return len(self._steps)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the two accumulators and how many rows they have seen."""
        return {"z": self._ftrl.z, "n": self._ftrl.n, "rows_seen": np.array([self._rows_seen])}

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned."""
        self._ftrl.z[...], self._ftrl.n[...] = state["z"], state["n"]
        self._rows_seen = int(state["rows_seen"][0])

    def step(self, number: int) -> tuple[float, float]:
        """Learn a pass or a part of one; return its progressive loss and the validation loss after it."""
        stretches = self._steps[(number - 1) % self.steps_per_pass]
        total = sum(self._learn(starts) for starts in stretches)
        counts = self._weights[int(stretches[0][0]) : int(stretches[-1][-1])]
        return total / float(counts.sum()), self.valid_loss()

    def _learn(self, starts: NDArray[np.int64]) -> float:
        """Learn the batches that begin at `starts`, its last their end; return the losses' sum."""
        first, task, total = int(starts[0]), self._data.code.task, 0.0
        design = self._coordinates.dense(self._data.features_at(self._rows[first : int(starts[-1])]))
        for begin, end in pairwise(starts.tolist()):
            rows = design[begin - first : end - first]
            labels, counts = self._labels[begin:end], self._weights[begin:end]
            weights = self._ftrl.weights(self._rows_seen)
            scores = self._constant + rows @ weights
            total += float(counts @ losses(task, scores, labels))
            self._ftrl.learn(rows.T @ (slopes(task, scores, labels) * counts[:, None]), weights)
            self._rows_seen += end - begin
        return total

    def valid_loss(self) -> float:
        """Return the mean loss of the validation rows as the weights are now."""
        scores = np.empty((len(self._valid_labels), self._data.code.outputs))
        weights = self._ftrl.weights(self._rows_seen)
        for begin in range(0, len(scores), _PREDICT_ROWS):
            block = slice(begin, begin + _PREDICT_ROWS)
            scores[block] = self._constant + self._coordinates.scores(self._valid_features[block], weights)
        return float(losses(self._data.code.task, scores, self._valid_labels).mean())

    def _spread(self) -> NDArray[np.float64]:
        """Return how far the loss' slopes spread before anything is learnt, (outputs,)."""
        constant = np.broadcast_to(self._constant, (len(self._labels), len(self._constant)))
        squares = slopes(self._data.code.task, constant, self._labels) ** 2
        return np.asarray(np.sqrt(np.average(squares, axis=0, weights=self._weights)))

    def model(self) -> dict[str, NDArray[Any]]:
        """Return the weights (coordinates, outputs) and the scores they are added to (outputs,)."""
        return {"weights": self._ftrl.weights(self._rows_seen), "constant": self._constant}


def _in_time(data: FitData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the training rows bar by bar, symbols in the panel's order, and their places in data.train."""
    order = np.argsort(data.panel.time_codes[data.train], kind="stable")
    return data.train[order], order


def _batch_starts(codes: NDArray[np.int32], fewest: int) -> NDArray[np.int64]:
    """Return where batches begin, and the end: whole bars, as many as make `fewest` rows or more."""
    bars = np.flatnonzero(np.diff(codes)) + 1
    starts = [0]
    for bar in bars.tolist():
        if bar - starts[-1] >= fewest:
            starts.append(bar)
    return np.array([*starts, len(codes)], dtype=np.int64)


def _stretches(starts: NDArray[np.int64], most_rows: int) -> list[NDArray[np.int64]]:
    """Return the batches' starts in stretches of about `most_rows` rows, each with its own end."""
    number = starts[:-1] // most_rows
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(starts) - 1]
    return [starts[begin : end + 1] for begin, end in pairwise(cuts)]


def _rates(session: Session, coordinates: int, spread: NDArray[np.float64]) -> Rates:
    """Return the settings with penalties per row; the constant is not penalised.

    Slopes that spread by `spread`, of n rows whose labels overlap with h others, come to sums that spread by
    the root of n h times that for a coordinate that has nothing to do with the label: l1 is in this unit.
    """
    params, data = session.params, session.data
    penalised = np.ones((coordinates, 1))
    penalised[0] = 0.0
    per_row = float(params["l1"]) * np.sqrt(data.horizon_bars / len(data.train))
    return Rates(
        alpha=float(params["alpha"]),
        beta=float(params["beta"]),
        l1=penalised * per_row * spread,
        l2=penalised * float(params["l2"]),
    )
