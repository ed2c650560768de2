"""LightGBM: gradient boosted trees grown leaf by leaf (Ke et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from executors.boosting import AfterRound, boost
from executors.cpu.lightgbm_text import Chunk, chunks_from_bytes, chunks_to_bytes, joined
from executors.dataset import feature_matrix
from executors.parameters import Number, Parameter
from executors.preprocessing import LabelCode
from executors.session import Device, Session, Trained
from panel.aligned import Panel

MODEL = "model.txt"
LIBRARIES = ("lightgbm",)

#: min_leaf_rows 0 means a hundredth of the training rows, within [20, 2000].
PARAMETERS: Mapping[str, Parameter] = {
    "rounds": Parameter(default=400, low=1, high=100_000),
    "patience": Parameter(default=40, low=1, high=100_000),
    "chunk_rounds": Parameter(default=50, low=1, high=10_000),
    "learning_rate": Parameter(default=0.05, low=1e-6, high=1.0),
    "leaves": Parameter(default=31, low=2, high=131_072),
    "depth": Parameter(default=-1, low=-1, high=64),
    "min_leaf_rows": Parameter(default=0, low=0, high=10_000_000),
    "row_share": Parameter(default=0.8, low=0.01, high=1.0),
    "feature_share": Parameter(default=0.8, low=0.01, high=1.0),
    "l1": Parameter(default=0.0, low=0.0, high=1e6),
    "l2": Parameter(default=1.0, low=0.0, high=1e6),
    "bins": Parameter(default=255, low=2, high=65_535),
}

Dataset = Any  # the library is not followed by the type checker; the names say what is meant
CallbackState = Any

_OBJECTIVES = {"regression": "regression", "binary": "binary", "multiclass": "multiclass"}
_METRICS = {"regression": "l2", "binary": "binary_logloss", "multiclass": "multi_logloss"}


def window_rows(params: Mapping[str, Number]) -> int:
    """Return 1: each row is predicted from itself."""
    del params
    return 1


def train(session: Session) -> Trained:
    """Grow trees on the training rows, keep those up to the best validation loss.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    device = Device(used="cpu", reason="LightGBM is a family of the CPU stage")
    boosted = boost(session, _LightGBM(session), device)
    text = joined(chunks_from_bytes(boosted.model), boosted.best_round)
    gains = lightgbm.Booster(model_str=text).feature_importance("gain")
    return Trained(
        files={MODEL: text.encode()},
        steps=boosted.rounds,
        best_step=boosted.best_round,
        curve={"train_loss": list(boosted.train_losses), "valid_loss": list(boosted.valid_losses)},
        importances=dict(zip(session.data.features, (float(gain) for gain in gains), strict=True)),
        device=device,
        outline={"features": list(session.data.features), "labels": session.data.code.to_json()},
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    model = lightgbm.Booster(model_str=files[MODEL].decode())
    features = feature_matrix(panel, tuple(outline["features"]), rows)
    answers = model.predict(features, num_threads=1)
    return LabelCode.from_json(outline["labels"]).decoded(answers)


class _LightGBM:
    """LightGBM on one fit's data, binned once; each chunk begins with the scores of the chunks before it."""

    def __init__(self, session: Session) -> None:
        data = session.data
        self._settings = _library_settings(session)
        self._features = [data.features_at(rows) for rows in (data.train, data.valid)]
        labels = [data.encoded_at(rows) for rows in (data.train, data.valid)]
        train = _dataset(self._features[0], labels[0], self._settings)
        valid = _dataset(self._features[1], labels[1], self._settings, reference=train)
        self._sets = [train, valid]
        self._scored: tuple[Chunk, ...] = ()
        self._scores: list[NDArray[np.float64]] = []  # of training and validation rows, after _scored

    def grow(self, model: bytes | None, *, rounds: int, seed: int, after_round: AfterRound) -> bytes:
        """Add up to `rounds` rounds to `model`; samplers start afresh from `seed`."""
        chunks = chunks_from_bytes(model)
        self._score(chunks)
        iterations: list[int] = []

        def after_iteration(state: CallbackState) -> None:
            iterations.append(state.model.current_iteration())
            train_loss, valid_loss = (entry[2] for entry in state.evaluation_result_list)
            if after_round(float(train_loss), float(valid_loss)):
                raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

        grown = lightgbm.train(
            {**self._settings, "seed": seed},
            self._sets[0],
            num_boost_round=rounds,
            valid_sets=self._sets,
            valid_names=["train", "valid"],
            callbacks=[after_iteration],
        )
        # All trees, also those after a stop: without a number it would end at the best one.
        text = grown.model_to_string(num_iteration=grown.current_iteration())
        return chunks_to_bytes([*chunks, Chunk(iterations_after=tuple(iterations), text=text)])

    def _score(self, chunks: tuple[Chunk, ...]) -> None:
        """Set the scores the next chunk begins with: those of each chunk, added in their order."""
        if chunks[: len(self._scored)] != self._scored:
            self._scored, self._scores = (), []
        for chunk in chunks[len(self._scored) :]:
            booster = lightgbm.Booster(model_str=chunk.text)
            threads = self._settings["num_threads"]
            added = [booster.predict(rows, raw_score=True, num_threads=threads) for rows in self._features]
            before = self._scores or [np.zeros_like(scores) for scores in added]
            self._scores = [scores + more for scores, more in zip(before, added, strict=True)]
        self._scored = chunks
        for dataset, scores in zip(self._sets, self._scores, strict=False):
            dataset.set_init_score(scores)


def _library_settings(session: Session) -> dict[str, Any]:
    """Return LightGBM's own names for the settings of this fit."""
    params, data = session.params, session.data
    scaled_leaf = min(2000, max(20, len(data.train) // 100))
    settings: dict[str, Any] = {
        "objective": _OBJECTIVES[data.code.task],
        "metric": _METRICS[data.code.task],
        "learning_rate": params["learning_rate"],
        "num_leaves": params["leaves"],
        "max_depth": params["depth"],
        "min_data_in_leaf": params["min_leaf_rows"] or scaled_leaf,
        "bagging_fraction": params["row_share"],
        "bagging_freq": 1 if params["row_share"] < 1 else 0,
        "feature_fraction": params["feature_share"],
        "lambda_l1": params["l1"],
        "lambda_l2": params["l2"],
        "max_bin": params["bins"],
        "num_threads": session.spec.threads,
        "deterministic": True,
        "force_col_wise": True,  # or the layout is chosen by a stopwatch
        "verbosity": -1,
    }
    if data.code.task == "multiclass":
        settings["num_class"] = data.code.outputs
    return settings


def _dataset(
    features: NDArray[np.float32],
    labels: NDArray[np.float32],
    settings: Mapping[str, Any],
    reference: Dataset | None = None,
) -> Dataset:
    return lightgbm.Dataset(features, label=labels, reference=reference, params=dict(settings))
