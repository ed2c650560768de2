"""MetaLearning: an initialisation from which a few rows of a symbol are enough (MAML, Finn et al., 2017).

A small network learns to be adapted (`maml`): in each episode (`meta_tasks`) it goes some steps down the loss
of a symbol's `shots` rows, and is then corrected by the rows after them. The finished model has, beside the
initialisation, the weights adapted to each symbol's newest `shots` training rows. Predictions use those of
the row's symbol, and the initialisation for a symbol never seen.

A fit over all symbols practises on their training rows. A fit of one symbol practises on the training rows
of all symbols, whose labels end before its own validation begins, and is adapted to its own. Where the panel
has but one symbol, tasks are blocks of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.adam import Adam
from executors.cpu.links import answers, constant_scores, losses
from executors.cpu.maml import RATE, adapted, bounded, loss_and_slopes, weights_in, with_rates
from executors.cpu.meta_tasks import practice_rows, tasks_of
from executors.cpu.tanh_net import exact_scores, forward, fresh_weights
from executors.dataset import feature_matrix
from executors.estimating import Arrays, cpu_device, learn, one_blas_thread
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode, Standardisation
from executors.session import Session, Trained
from panel.aligned import Panel

MODEL = "model.safetensors"
LIBRARIES = ("safetensors",)
window_rows = one_row

#: A step is `episode_batches` corrections, each from `episodes` episodes at once.
PARAMETERS: Mapping[str, Parameter] = {
    "steps": Parameter(default=60, low=1, high=100_000),
    "patience": Parameter(default=15, low=1, high=100_000),
    "episode_batches": Parameter(default=10, low=1, high=10_000),
    "episodes": Parameter(default=8, low=1, high=1_000),
    "shots": Parameter(default=128, low=5, high=100_000),
    "queries": Parameter(default=128, low=5, high=100_000),
    "inner_steps": Parameter(default=4, low=1, high=100),
    "inner_rate": Parameter(default=0.05, low=1e-4, high=1.0),
    "learning_rate": Parameter(default=5e-3, low=1e-6, high=1.0),
    "hidden": Parameter(default=24, low=0, high=4_096),
    "l2": Parameter(default=1e-4, low=0.0, high=1e3),
}

_ADAPTED = "adapted."
_PREDICT_ROWS = 8_192


def train(session: Session) -> Trained:
    """Learn to be adapted, keep what adapts best to the validation rows, and adapt it to every symbol.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
        BadInput: no symbol has rows enough for an episode.
    """
    data, device = session.data, cpu_device("MetaLearning")
    standardisation = Standardisation.fitted(data.features_at(practice_rows(session.spec, data)))
    with one_blas_thread():
        learner = _Practice(session, standardisation)
        learned = learn(
            session,
            learner,
            device,
            steps=int(session.params["steps"]),
            patience=int(session.params["patience"]),
            loss_before=learner.valid_loss(),
        )
        own = {_ADAPTED + name: array for name, array in learner.adapted_to_all(learned.model).items()}
    everything = {**learned.model, **own}
    return Trained(
        files={MODEL: bytes_from_arrays({name: np.ascontiguousarray(a) for name, a in everything.items()})},
        steps=learned.steps,
        best_step=learned.best_step,
        curve=learned.curve,
        importances={},
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "standardisation": standardisation.to_json(),
            "symbols": learner.symbols,
            "shots": learner.tasks.shots,
            "rates": {
                name.removeprefix(RATE): float(np.exp(array[0]))
                for name, array in learned.model.items()
                if name.startswith(RATE)
            },
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    model = arrays_from_bytes(files[MODEL])
    labels = LabelCode.from_json(outline["labels"])
    scores = np.empty((len(rows), labels.outputs))
    codes = panel.symbol_codes[rows]
    for code in np.unique(codes).tolist():
        weights = _weights_of(model, outline["symbols"], panel.symbols[code])
        places = np.flatnonzero(codes == code)
        for begin in range(0, len(places), _PREDICT_ROWS):
            block = places[begin : begin + _PREDICT_ROWS]
            features = feature_matrix(panel, tuple(outline["features"]), rows[block])
            ready = Standardisation.from_json(outline["standardisation"]).applied(features)
            scores[block] = exact_scores(weights, ready.astype(np.float64))
    return labels.decoded(answers(labels.task, scores))


def _weights_of(model: Arrays, symbols: list[str], symbol: str) -> dict[str, NDArray[Any]]:
    """Return the weights adapted to `symbol`, the initial ones where it was never seen."""
    initial = {name: array for name, array in weights_in(model).items() if not name.startswith(_ADAPTED)}
    if symbol not in symbols:
        return initial
    return {name: model[_ADAPTED + name][symbols.index(symbol)] for name in initial}


class _Practice:
    """The initialisation and its rates of adaptation, practised on the episodes of one fit."""

    def __init__(self, session: Session, standardisation: Standardisation) -> None:
        data, params = session.data, session.params
        self._session, self._task = session, data.code.task
        self.tasks = tasks_of(session.spec, data, params, standardisation)
        codes = self.tasks.symbols
        wanted = np.unique(data.panel.symbol_codes[data.train])
        self._wanted = np.flatnonzero(np.isin(codes, wanted))
        self.symbols = [data.panel.symbols[code] for code in codes[self._wanted].tolist()]
        self._newest = self.tasks.newest(self._wanted)
        self._valid_features = standardisation.applied(data.features_at(data.valid)).astype(np.float64)
        self._valid_labels = data.encoded_at(data.valid).astype(np.float64)
        self._valid_codes = data.panel.symbol_codes[data.valid].astype(np.int64)
        self._learnt = self._fresh()
        self._adam = Adam(self._learnt)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return initial weights, rates, and the averages behind the next step."""
        return {**self._learnt, **self._adam.state()}

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned."""
        self._learnt = {name: state[name] for name in self._learnt}
        self._adam.restore(state)

    def step(self, number: int) -> tuple[float, float]:
        """Correct the initialisation `episode_batches` times; return the mean loss after adaptation, twice.

        First that of the queries, then that of the validation rows after the step.
        """
        params, total = self._session.params, 0.0
        batches, inner = int(params["episode_batches"]), int(params["inner_steps"])
        for batch in range((number - 1) * batches + 1, number * batches + 1):
            seed = self._session.seed("episodes", batch)
            shots, queries = self.tasks.episodes(int(params["episodes"]), seed)
            loss, slopes = loss_and_slopes(self._task, self._learnt, shots, queries, inner)
            for name in ("into", "out"):
                if name in slopes:
                    slopes[name] = slopes[name] + float(params["l2"]) * self._learnt[name]
            rate = float(params["learning_rate"])
            self._learnt = bounded(self._adam.stepped(self._learnt, slopes, number=batch, rate=rate))
            total += loss
        return total / batches, self.valid_loss()

    def valid_loss(self) -> float:
        """Return the mean loss of the validation rows, each by the weights adapted to its symbol."""
        own, initial = self.adapted_to_all(self._learnt), weights_in(self._learnt)
        total = 0.0
        for code in np.unique(self._valid_codes).tolist():
            place = np.flatnonzero(self.tasks.symbols[self._wanted] == code)
            weights = {name: array[place[0]] for name, array in own.items()} if len(place) else initial
            is_own = self._valid_codes == code
            scores, _ = forward(weights, self._valid_features[is_own])
            total += float(losses(self._task, scores, self._valid_labels[is_own]).sum())
        return total / len(self._valid_codes)

    def model(self) -> dict[str, NDArray[Any]]:
        """Return initial weights and rates."""
        return dict(self._learnt)

    def adapted_to_all(self, learnt: Arrays) -> dict[str, NDArray[Any]]:
        """Return the weights adapted to the newest rows of each of `symbols`, (symbols, ...)."""
        found, _ = adapted(self._task, learnt, self._newest, int(self._session.params["inner_steps"]))
        return found

    def _fresh(self) -> dict[str, NDArray[Any]]:
        """Return an initialisation that says the same of every row: what is best without any feature."""
        data, params = self._session.data, self._session.params
        outputs, seed = data.code.outputs, self._session.seed("weights")
        weights = fresh_weights(len(data.features), int(params["hidden"]), outputs, seed)
        of_rows = self._session.weights().astype(np.float64)
        labels = data.encoded_at(data.train).astype(np.float64)
        weights["out_bias"][0] = constant_scores(self._task, outputs, labels, of_rows)
        return with_rates(weights, float(params["inner_rate"]))
