"""The rows of one fit as LightGBM has them: binned once, read from the mapped panel in blocks.

The bins' edges come from at most 100,000 training rows; all other rows are put into them block by block, so
that no copy of all features as numbers is ever held beside the bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from executors.boosting import watched_rows
from executors.dataset import FitData
from executors.session import Session

Dataset = Any  # the library is not followed by the type checker; the name says what is meant

PARTS = ("train", "watched", "valid")

_EDGE_ROWS = 100_000
_BLOCK_ROWS = 65_536


class PanelRows(lightgbm.Sequence):  # type: ignore[misc]  # the library is untyped
    """Rows of the panel, read when they are asked for."""

    batch_size = _BLOCK_ROWS

    def __init__(self, data: FitData, rows: NDArray[np.int64]) -> None:
        self._data, self._rows = data, rows

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def __getitem__(self, places: slice) -> NDArray[np.float32]:
        """Return the features at `places`, (rows, features) float32."""
        return self._data.features_at(self._rows[places])


class BinnedRows:
    """Training rows, those of them whose loss is watched, validation rows.

    Training rows are weighted, losses are not.
    """

    def __init__(self, session: Session, settings: Mapping[str, Any]) -> None:
        data = session.data
        self._settings = dict(settings)
        rows, weights = data.train, session.weights()
        few = rows[np.linspace(0, len(rows) - 1, min(_EDGE_ROWS, len(rows))).astype(np.int64)]
        edges = self._binned(data, few)
        is_all = len(few) == len(rows)
        self.train = edges if is_all else self._binned(data, rows, edges)
        self.watched = self._binned(data, rows[watched_rows(len(rows))], edges)
        self.valid = self._binned(data, data.valid, edges)
        # Last: rows put into the bins of weighted ones would take weights from memory nobody has written.
        self.train.set_weight(None if np.all(weights == 1) else weights)

    def begin_with(self, scores: Mapping[str, NDArray[np.float64]]) -> None:
        """Let the next models begin with these scores of the rows."""
        for part in PARTS:
            getattr(self, part).set_init_score(scores[part])

    def _binned(self, data: FitData, rows: NDArray[np.int64], edges: Dataset = None) -> Dataset:
        """Return `rows` with their labels in the bins of `edges`, in bins of their own without."""
        features = data.features_at(rows) if edges is None else PanelRows(data, rows)
        dataset = lightgbm.Dataset(
            features, label=data.encoded_at(rows), reference=edges, params=dict(self._settings)
        )
        return dataset.construct()
