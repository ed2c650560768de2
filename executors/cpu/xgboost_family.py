"""XGBoost: gradient boosted trees grown level by level on histograms (Chen and Guestrin, KDD 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from executors.boosting import AfterRound, boost
from executors.dataset import feature_matrix
from executors.parameters import Number, Parameter
from executors.preprocessing import LabelCode
from executors.session import Device, Session, Trained
from panel.aligned import Panel

MODEL = "model.ubj"
LIBRARIES = ("xgboost",)

#: min_leaf_rows 0 means a hundredth of the training rows, within [20, 2000].
PARAMETERS: Mapping[str, Parameter] = {
    "rounds": Parameter(default=400, low=1, high=100_000),
    "patience": Parameter(default=40, low=1, high=100_000),
    "chunk_rounds": Parameter(default=50, low=1, high=10_000),
    "learning_rate": Parameter(default=0.05, low=1e-6, high=1.0),
    "depth": Parameter(default=6, low=1, high=32),
    "min_leaf_rows": Parameter(default=0, low=0, high=10_000_000),
    "row_share": Parameter(default=0.8, low=0.01, high=1.0),
    "feature_share": Parameter(default=0.8, low=0.01, high=1.0),
    "min_gain": Parameter(default=0.0, low=0.0, high=1e6),
    "l1": Parameter(default=0.0, low=0.0, high=1e6),
    "l2": Parameter(default=1.0, low=0.0, high=1e6),
    "bins": Parameter(default=256, low=2, high=65_535),
}

Booster = Any  # the library is not followed by the type checker; the name says what is meant

_OBJECTIVES = {"regression": "reg:squarederror", "binary": "binary:logistic", "multiclass": "multi:softprob"}
_METRICS = {"regression": "rmse", "binary": "logloss", "multiclass": "mlogloss"}

#: A row's largest second derivative, by which XGBoost weighs a leaf: 1, p(1 - p), 2p(1 - p).
_WEIGHT_OF_ROW = {"regression": 1.0, "binary": 0.25, "multiclass": 0.5}


def window_rows(params: Mapping[str, Number]) -> int:
    """Return 1: each row is predicted from itself."""
    del params
    return 1


def train(session: Session) -> Trained:
    """Grow trees on the training rows, keep those up to the best validation loss.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    device = Device(used="cpu", reason="XGBoost is a family of the CPU stage")
    boosted = boost(session, _XGBoost(session), device)
    best = _loaded(boosted.model or b"")[: boosted.best_round]
    gains = best.get_score(importance_type="total_gain")
    features = session.data.features
    return Trained(
        files={MODEL: bytes(best.save_raw("ubj"))},
        steps=boosted.rounds,
        best_step=boosted.best_round,
        curve={"train_loss": list(boosted.train_losses), "valid_loss": list(boosted.valid_losses)},
        importances={name: float(gains.get(f"f{place}", 0.0)) for place, name in enumerate(features)},
        device=device,
        outline={"features": list(features), "labels": session.data.code.to_json()},
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    model = _loaded(files[MODEL])
    answers = model.inplace_predict(feature_matrix(panel, tuple(outline["features"]), rows))
    return LabelCode.from_json(outline["labels"]).decoded(answers)


class _XGBoost:
    """XGBoost on one fit's data, binned once."""

    def __init__(self, session: Session) -> None:
        data = session.data
        self._settings = _library_settings(session)
        shape = {"max_bin": self._settings["max_bin"], "nthread": session.spec.threads}
        self._train = xgboost.QuantileDMatrix(
            data.features_at(data.train), data.encoded_at(data.train), **shape
        )
        self._valid = xgboost.QuantileDMatrix(
            data.features_at(data.valid), data.encoded_at(data.valid), ref=self._train, **shape
        )

    def grow(self, model: bytes | None, *, rounds: int, seed: int, after_round: AfterRound) -> bytes:
        """Add up to `rounds` rounds to `model`; samplers start afresh from `seed`."""
        grown = xgboost.train(
            {**self._settings, "seed": seed},
            self._train,
            num_boost_round=rounds,
            evals=[(self._train, "train"), (self._valid, "valid")],
            xgb_model=None if model is None else _loaded(model),
            callbacks=[_AfterRound(after_round)],
            verbose_eval=False,
        )
        return bytes(grown.save_raw("ubj"))


class _AfterRound(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # the library is untyped
    """Hands the losses of each round on."""

    def __init__(self, after_round: AfterRound) -> None:
        super().__init__()
        self._after_round = after_round

    def after_iteration(self, model: object, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        """Return whether to add no more rounds."""
        del model, epoch
        train_loss, valid_loss = (next(iter(evals_log[part].values()))[-1] for part in ("train", "valid"))
        return self._after_round(float(train_loss), float(valid_loss))


def _library_settings(session: Session) -> dict[str, Any]:
    """Return XGBoost's own names for the settings of this fit."""
    params, data = session.params, session.data
    task = data.code.task
    leaf_rows = params["min_leaf_rows"] or min(2000, max(20, len(data.train) // 100))
    settings: dict[str, Any] = {
        "objective": _OBJECTIVES[task],
        "eval_metric": _METRICS[task],
        "device": "cpu",
        "tree_method": "hist",
        "learning_rate": params["learning_rate"],
        "max_depth": params["depth"],
        "min_child_weight": leaf_rows * _WEIGHT_OF_ROW[task],
        "subsample": params["row_share"],
        "colsample_bytree": params["feature_share"],
        "gamma": params["min_gain"],
        "alpha": params["l1"],
        "lambda": params["l2"],
        "max_bin": params["bins"],
        "nthread": session.spec.threads,
        "verbosity": 1,
    }
    if task == "multiclass":
        settings["num_class"] = data.code.outputs
    return settings


def _loaded(model: bytes) -> Booster:
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(model))
