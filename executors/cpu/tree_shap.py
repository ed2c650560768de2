"""Which features a boosted model's answers rest on: mean absolute TreeSHAP values on validation rows.

Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature
Machine Intelligence 2020, as LightGBM and XGBoost compute it. Beside it stands the total gain, which costs
nothing but praises features with many values and what the training rows were learnt by heart with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

METHOD = "tree_shap"
ROWS_MIN, ROWS_MAX = 100, 2000

#: The values of one row cost about what growing a tree costs on 60 cells, a level and leaf; they may cost a
#: fiftieth of the growing.
_ROW_WORK = 60.0 * 50.0


def explained_rows(valid: NDArray[np.int64], *, round_work: float, round_leaves: float) -> NDArray[np.int64]:
    """Return the validation rows to explain, evenly spread: 100 to 2,000, more where growing was dear.

    `round_work` is what a round costs (see `boosting.boost`), `round_leaves` the leaves of its trees.
    """
    affordable = int(round_work / (_ROW_WORK * round_leaves))
    count = min(len(valid), max(ROWS_MIN, min(ROWS_MAX, affordable)))
    return valid[np.linspace(0, len(valid) - 1, count).astype(np.int64)]


def mean_absolute(features: Sequence[str], values: NDArray[Any]) -> Mapping[str, float]:
    """Return feature -> mean absolute SHAP value, of several classes their sum.

    `values` is (rows, features + 1) or (rows, classes, features + 1) in the unit of the raw score; the last
    of each is what all rows begin with.
    """
    by_class = np.abs(values.reshape(len(values), -1, len(features) + 1)[:, :, :-1].astype(np.float64))
    means = by_class.mean(axis=0).sum(axis=0)
    return {name: float(mean) for name, mean in zip(features, means, strict=True)}
