"""LightGBM models that grow chunk by chunk on rows binned once.

Each chunk is a model of its own that begins with the scores of the rows after the chunks before it. The
scores are taken from the library as it has them and saved with the state: predicting them again costs a
third of the training, and where the library bundles sparse features not even the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.lightgbm_rows import PARTS, BinnedRows
from executors.cpu.lightgbm_text import Chunk, chunks_from_bytes, chunks_to_bytes, joined
from executors.cpu.tree_shap import explained_rows, mean_absolute
from executors.parameters import Number, Parameter
from executors.session import Session

Dataset = Any  # the library is not followed by the type checker; the names say what is meant
Booster = Any
Settings = Mapping[str, Any]

#: Settings of trees; min_leaf_rows 0 means a hundredth of the training rows, within [20, 2000].
TREE_PARAMETERS: Mapping[str, Parameter] = {
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


def tree_settings(session: Session) -> dict[str, Any]:
    """Return LightGBM's own names for the settings of TREE_PARAMETERS."""
    params = session.params
    scaled_leaf = min(2000, max(20, len(session.data.train) // 100))
    return {
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
        "feature_pre_filter": False,  # or no feature is left where no leaf can be made, and the library dies
        "force_col_wise": True,  # or the layout is chosen by a stopwatch
        "verbosity": -1,
    }


def round_work(params: Mapping[str, Number], *, rows: int, features: int, trees: int) -> float:
    """Return what a round of `trees` trees costs, in cells times levels."""
    cells = rows * params["row_share"] * max(1.0, features * params["feature_share"])
    return float(cells * np.log2(params["leaves"]) * trees)


def importances(
    texts: Sequence[str], session: Session, work: float
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return what features do for the models `texts`, summed over them: (mean absolute SHAP, total gain)."""
    data, leaves = session.data, float(session.params["leaves"])
    rows = explained_rows(data.valid, round_work=work, round_leaves=leaves * len(texts) * data.code.outputs)
    values = data.features_at(rows)
    names, shap, gains = data.features, np.zeros(len(data.features)), np.zeros(len(data.features))
    for text in texts:
        model = lightgbm.Booster(model_str=text)
        said = model.predict(values, pred_contrib=True, num_threads=session.spec.threads)
        shap += list(mean_absolute(names, said).values())
        gains += model.feature_importance("gain")
    return dict(zip(names, shap.tolist(), strict=True)), dict(zip(names, gains.tolist(), strict=True))


class GrowingModel:
    """One model that grows on binned rows, which several models may share."""

    def __init__(self, rows: BinnedRows, settings: Settings) -> None:
        self._rows, self._settings = rows, settings
        self._chunks: tuple[Chunk, ...] = ()
        self._scores: dict[str, NDArray[np.float64]] = {}  # (rows,) or (rows, classes), after all chunks
        self._booster: Booster = None
        self._iterations: list[int] = []

    def begin(self, seed: int) -> None:
        """Begin a chunk, all samplers started from `seed`; one begun before and not kept is forgotten."""
        if self._scores:
            self._rows.begin_with(self._scores)
        self._booster = lightgbm.Booster({**self._settings, "seed": seed}, self._rows.train)
        self._booster.add_valid(self._rows.watched, "watched")
        self._booster.add_valid(self._rows.valid, "valid")
        self._iterations = []

    def add_round(self) -> tuple[float, float]:
        """Add one round to the chunk begun; return (training loss, validation loss)."""
        self._booster.update()
        self._iterations.append(self._booster.current_iteration())
        train_loss, valid_loss = (entry[2] for entry in self._booster.eval_valid())
        return float(train_loss), float(valid_loss)

    def keep(self) -> None:
        """End the chunk begun and make it part of the model."""
        text = self._booster.model_to_string()
        self._chunks = (*self._chunks, Chunk(iterations_after=tuple(self._iterations), text=text))
        self._scores = self._raw_scores()
        self._booster = None

    def text(self, rounds: int) -> str:
        """Return the model of the first `rounds` rounds in the library's format."""
        return joined(self._chunks, rounds)

    def state(self, name: str) -> dict[str, bytes]:
        """Return what there is to remember, in files whose names begin with `name`."""
        scores = {part: np.ascontiguousarray(values) for part, values in self._scores.items()}
        return {
            f"{name}.chunks.json": chunks_to_bytes(self._chunks),
            f"{name}.scores.safetensors": bytes_from_arrays(scores),
        }

    def restore(self, name: str, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        self._chunks = chunks_from_bytes(state[f"{name}.chunks.json"])
        self._scores = arrays_from_bytes(state[f"{name}.scores.safetensors"])

    def _raw_scores(self) -> dict[str, NDArray[np.float64]]:
        """Return the rows' scores as the library has added them up, before any sigmoid."""
        found: list[NDArray[np.float64]] = []

        def take(scores: NDArray[np.float64], dataset: Dataset) -> tuple[str, float, bool]:
            del dataset
            found.append(np.array(scores))
            return "taken", 0.0, False

        self._booster.reset_parameter({"objective": "none"})
        self._booster.eval_train(feval=take)
        self._booster.eval_valid(feval=take)
        return dict(zip(PARTS, found, strict=True))
