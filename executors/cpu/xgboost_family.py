"""XGBoost: gradient boosted trees grown level by level on histograms (Chen and Guestrin, KDD 2016)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.boosting import LOOP_PARAMETERS, AfterRound, boost, watched_rows
from executors.cpu.tree_shap import METHOD, explained_rows, mean_absolute
from executors.cpu.xgboost_json import joined, loaded
from executors.dataset import FitData, feature_matrix
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode
from executors.session import Device, Session, Trained
from panel.aligned import Panel

MODEL = "model.ubj"
LIBRARIES = ("xgboost",)
window_rows = one_row

#: min_leaf_rows 0 means a hundredth of the training rows, within [20, 2000].
PARAMETERS: Mapping[str, Parameter] = {
    **LOOP_PARAMETERS,
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

Matrix = Any  # the library is not followed by the type checker; the name says what is meant

_BLOCK_ROWS = 65_536
_MARGINS = "margins.safetensors"
_LOSS = re.compile(r":(\S+)")
_OBJECTIVES = {"regression": "reg:squarederror", "binary": "binary:logistic", "multiclass": "multi:softprob"}
_METRICS = {"regression": "rmse", "binary": "logloss", "multiclass": "mlogloss"}

#: A row's largest second derivative, by which XGBoost weighs a leaf: 1, p(1 - p), 2p(1 - p).
_WEIGHT_OF_ROW = {"regression": 1.0, "binary": 0.25, "multiclass": 0.5}

_WATCHED_EVERY = 10  # rounds


def train(session: Session) -> Trained:
    """Grow trees on the training rows, keep those up to the best validation loss.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data, params = session.data, session.params
    device = Device(used="cpu", reason="XGBoost is a family of the CPU stage")
    engine = _XGBoost(session)
    cells = len(data.train) * max(1.0, len(data.features) * params["feature_share"])
    work = cells * params["depth"] * data.code.outputs
    boosted = boost(session, engine, device, round_work=work)
    model = engine.model(boosted.best_round)
    shap, gains = _importances(model, session, work)
    return Trained(
        files={MODEL: model},
        steps=boosted.rounds,
        best_step=boosted.best_round,
        curve=boosted.curve,
        importances=shap,
        device=device,
        outline={"features": list(data.features), "labels": data.code.to_json()},
        importance_method=METHOD,
        gains=gains,
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    model = loaded(files[MODEL])
    answers = model.inplace_predict(feature_matrix(panel, tuple(outline["features"]), rows))
    return LabelCode.from_json(outline["labels"]).decoded(answers)


class _XGBoost:
    """XGBoost on one fit's data, binned once; training rows are weighted, losses are not.

    Each chunk is a model of its own that begins with the margins of the rows after the chunks before it,
    which the library has at hand and which are saved with the state. The training loss is looked at in every
    tenth round of a chunk and told again in between: the library predicts for it, which costs several per
    cent of a fit when it is done in every round.
    """

    def __init__(self, session: Session) -> None:
        data = session.data
        self._settings = _library_settings(session)
        weights = session.weights()
        self._train = self._matrix(session, data.train, weight=None if np.all(weights == 1) else weights)
        watched = data.train[watched_rows(len(data.train))]
        self._watched = self._matrix(session, watched, ref=self._train)
        self._valid = self._matrix(session, data.valid, ref=self._train)
        self._chunks: list[bytes] = []
        self._margins: dict[str, NDArray[np.float32]] = {}  # (rows,) or (rows, classes), after all chunks

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add up to `rounds` rounds; samplers start afresh from `seed`."""
        matrices = {"train": self._train, "watched": self._watched, "valid": self._valid}
        for name, margins in self._margins.items():
            matrices[name].set_base_margin(margins)
        booster = xgboost.Booster({**self._settings, "seed": seed}, list(matrices.values()))
        judged = [(self._valid, "valid"), (self._watched, "watched")]
        watched = 0.0
        for number in range(rounds):
            booster.update(self._train, number)
            looks = number % _WATCHED_EVERY == 0
            losses = _LOSS.findall(booster.eval_set(judged[: 1 + looks], number))
            watched = float(losses[1]) if looks else watched
            if after_round(watched, float(losses[0])):
                break
        self._chunks.append(bytes(booster.save_raw("ubj")))
        self._margins = {
            name: booster.predict(matrix, output_margin=True) for name, matrix in matrices.items()
        }

    def model(self, rounds: int) -> bytes:
        """Return the model of the first `rounds` rounds in the library's format."""
        return joined(self._chunks, rounds)

    def state(self) -> dict[str, bytes]:
        """Return trees and margins."""
        margins = {name: np.ascontiguousarray(values) for name, values in self._margins.items()}
        chunks = {f"chunk-{place}.ubj": chunk for place, chunk in enumerate(self._chunks)}
        return {**chunks, _MARGINS: bytes_from_arrays(margins)}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        count = sum(name.startswith("chunk-") for name in state)
        self._chunks = [state[f"chunk-{place}.ubj"] for place in range(count)]
        self._margins = arrays_from_bytes(state[_MARGINS])

    def _matrix(
        self,
        session: Session,
        rows: NDArray[np.int64],
        *,
        weight: NDArray[np.float32] | None = None,
        ref: Matrix = None,
    ) -> Matrix:
        blocks = _Blocks(session.data, rows, weight)
        shape = {"max_bin": self._settings["max_bin"], "nthread": session.spec.threads}
        return xgboost.QuantileDMatrix(blocks, ref=ref, **shape)


class _Blocks(xgboost.DataIter):  # type: ignore[misc]  # the library is untyped
    """Rows of the panel in blocks, so that no copy of all features is held beside the library's bins."""

    def __init__(self, data: FitData, rows: NDArray[np.int64], weight: NDArray[np.float32] | None) -> None:
        self._data, self._rows, self._weight, self._start = data, rows, weight, 0
        super().__init__()

    def reset(self) -> None:
        """Begin again; the library comes several times."""
        self._start = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand the next block over; return whether there was one."""
        block = slice(self._start, self._start + _BLOCK_ROWS)
        rows = self._rows[block]
        if not len(rows):
            return False
        weight = None if self._weight is None else self._weight[block]
        input_data(data=self._data.features_at(rows), label=self._data.encoded_at(rows), weight=weight)
        self._start += _BLOCK_ROWS
        return True


def _importances(
    model: bytes, session: Session, work: float
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return what features do for the model: (mean absolute SHAP, total gain)."""
    data, booster = session.data, loaded(model)
    leaves = 2.0 ** float(session.params["depth"]) * data.code.outputs
    rows = explained_rows(data.valid, round_work=work, round_leaves=leaves)
    matrix = xgboost.DMatrix(data.features_at(rows), nthread=1)
    gains = booster.get_score(importance_type="total_gain")
    by_name = {name: float(gains.get(f"f{place}", 0.0)) for place, name in enumerate(data.features)}
    return mean_absolute(data.features, booster.predict(matrix, pred_contribs=True)), by_name


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
