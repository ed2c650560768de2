"""LightGBM: gradient boosted trees grown leaf by leaf (Ke et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from executors.boosting import LOOP_PARAMETERS, AfterRound, boost
from executors.cpu.lightgbm_growth import (
    TREE_PARAMETERS,
    GrowingModel,
    importances,
    round_work,
    tree_settings,
)
from executors.cpu.lightgbm_rows import BinnedRows
from executors.cpu.tree_shap import METHOD
from executors.dataset import feature_matrix
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode
from executors.session import Device, Session, Trained
from panel.aligned import Panel

MODEL = "model.txt"
LIBRARIES = ("lightgbm",)
window_rows = one_row

PARAMETERS: Mapping[str, Parameter] = {**LOOP_PARAMETERS, **TREE_PARAMETERS}

_OBJECTIVES = {"regression": "regression", "binary": "binary", "multiclass": "multiclass"}
_METRICS = {"regression": "l2", "binary": "binary_logloss", "multiclass": "multi_logloss"}


def train(session: Session) -> Trained:
    """Grow trees on the training rows, keep those up to the best validation loss.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data = session.data
    device = Device(used="cpu", reason="LightGBM is a family of the CPU stage")
    engine = _LightGBM(session)
    work = round_work(
        session.params, rows=len(data.train), features=len(data.features), trees=data.code.outputs
    )
    boosted = boost(session, engine, device, round_work=work)
    text = engine.model.text(boosted.best_round)
    shap, gains = importances([text], session, work)
    return Trained(
        files={MODEL: text.encode()},
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
    model = lightgbm.Booster(model_str=files[MODEL].decode())
    features = feature_matrix(panel, tuple(outline["features"]), rows)
    answers = model.predict(features, num_threads=1)
    return LabelCode.from_json(outline["labels"]).decoded(answers)


class _LightGBM:
    """One model of the target."""

    def __init__(self, session: Session) -> None:
        settings = _library_settings(session)
        self.model = GrowingModel(BinnedRows(session, settings), settings)

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add up to `rounds` rounds; samplers start afresh from `seed`."""
        self.model.begin(seed)
        for _ in range(rounds):
            if after_round(*self.model.add_round()):
                break
        self.model.keep()

    def state(self) -> dict[str, bytes]:
        """Return trees and scores."""
        return self.model.state("model")

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        self.model.restore("model", state)


def _library_settings(session: Session) -> dict[str, Any]:
    """Return LightGBM's own names for the settings of this fit."""
    code = session.data.code
    settings = {**tree_settings(session), "objective": _OBJECTIVES[code.task], "metric": _METRICS[code.task]}
    return {**settings, "num_class": code.outputs} if code.task == "multiclass" else settings
