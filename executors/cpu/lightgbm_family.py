"""LightGBM: gradient boosted trees grown leaf by leaf (Ke et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from executors.boosting import AfterRound, boost
from executors.dataset import FitData, feature_matrix
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
    model = lightgbm.Booster(model_str=(boosted.model or b"").decode())
    gains = model.feature_importance("gain", iteration=boosted.best_round)
    return Trained(
        files={MODEL: model.model_to_string(num_iteration=boosted.best_round).encode()},
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
    """LightGBM on one fit's data; binned once, the raw values kept so that a chunk can start from a model."""

    def __init__(self, session: Session) -> None:
        self._settings = _library_settings(session)
        self._train = _dataset(session.data, session.data.train, self._settings)
        self._valid = _dataset(session.data, session.data.valid, self._settings, reference=self._train)

    def grow(self, model: bytes | None, *, rounds: int, seed: int, after_round: AfterRound) -> bytes:
        """Add up to `rounds` rounds to `model`; samplers start afresh from `seed`."""

        def after_iteration(state: CallbackState) -> None:
            train_loss, valid_loss = (entry[2] for entry in state.evaluation_result_list)
            if after_round(float(train_loss), float(valid_loss)):
                raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

        grown = lightgbm.train(
            {**self._settings, "seed": seed},
            self._train,
            num_boost_round=rounds,
            valid_sets=[self._train, self._valid],
            valid_names=["train", "valid"],
            init_model=None if model is None else lightgbm.Booster(model_str=model.decode()),
            callbacks=[after_iteration],
        )
        # All trees, also those after a stop: num_iteration=-1 would end at the best one.
        text: str = grown.model_to_string(num_iteration=grown.current_iteration())
        return text.encode()


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
    data: FitData,
    rows: NDArray[np.int64],
    settings: Mapping[str, Any],
    reference: Dataset | None = None,
) -> Dataset:
    return lightgbm.Dataset(
        data.features_at(rows),
        label=data.encoded_at(rows),
        reference=reference,
        params=dict(settings),
        free_raw_data=False,
    )
