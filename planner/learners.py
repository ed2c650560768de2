"""Two small learners for measuring skill: ridge regression from cross products and short boosting.

They are there to ask "can this be predicted?", not to be deployed: few rounds, few leaves, fixed settings,
deterministic. Their mean is the prediction that is judged, so there is one test and not two.
"""

import functools
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from planner.config import RankingConfig

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_OBJECTIVES = {"regression": "l2", "binary": "binary", "multiclass": "multiclass"}


@functools.cache
def _lightgbm() -> ModuleType:
    """Load the library on first use: it costs more than a second, and a cached plan needs none of it."""
    return import_module("lightgbm")


def ridge(gram: Floats, moments: Floats, penalty: float) -> Floats:
    """Return the coefficients, (features, outputs), of ridge regression from sums of products.

    `gram` (features, features), `moments` (features, outputs); `penalty` is the share of the mean diagonal
    that is added to it. Hoerl and Kennard (1970).
    """
    size = float(np.trace(gram)) / max(1, len(gram))
    if size <= 0.0:
        return np.zeros(moments.shape)
    return np.asarray(np.linalg.solve(gram + penalty * size * np.eye(len(gram)), moments))


@dataclass(frozen=True, slots=True)
class Boosted:
    """A short boosting: predictions and the gain of each column."""

    model: Any
    gain: Floats  # (columns,)
    outputs: int

    def predict(self, columns: Float32s) -> Floats:
        """Predict (rows, columns) as (rows, outputs)."""
        found = np.asarray(self.model.predict(columns, num_threads=1), dtype=np.float64)
        return found.reshape(len(columns), self.outputs)


def binned(columns: Float32s, config: RankingConfig) -> Any:  # noqa: ANN401 - the library has no types
    """Return training columns, (rows, columns), in the library's bins; labels are set by their users."""
    settings = {
        "max_bin": config.boosting_bins,
        "feature_pre_filter": False,
        "verbosity": -1,
        "num_threads": 1,
    }
    return _lightgbm().Dataset(columns, params=settings, free_raw_data=True)


def boost(data: Any, label: Floats, *, task: str, outputs: int, config: RankingConfig, seed: int) -> Boosted:  # noqa: ANN401
    """Fit a short boosting to binned columns; the label, (rows,), is swapped, the bins stay.

    Regression labels are numbers, binary ones 0 and 1, multiclass ones places 0..outputs - 1.
    """
    data.set_label(label)
    settings = {
        "objective": _OBJECTIVES[task],
        "num_leaves": config.boosting_leaves,
        "learning_rate": config.boosting_rate,
        "max_bin": config.boosting_bins,
        "min_data_in_leaf": min(config.boosting_leaf_rows, max(5, len(label) // 20)),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
        **({"num_class": outputs} if task == "multiclass" else {}),
    }
    model = _lightgbm().train(settings, data, num_boost_round=config.boosting_rounds)
    gain = model.feature_importance("gain").astype(np.float64)
    return Boosted(model=model, gain=gain, outputs=outputs)
