"""Features cut into bins of equal shares, so that a linear model can bend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileBins:
    """Where the bins of each feature begin, from the training rows; a missing value has a bin of its own.

    `edges` holds one ascending array per feature, at most bins - 1 long: fewer where values repeat, none for
    a feature that never varies or has no value at all.
    """

    bins: int
    edges: tuple[NDArray[np.float32], ...]

    @classmethod
    def fitted(cls, training: NDArray[np.float32], bins: int) -> QuantileBins:
        """Fit on the training rows alone, (rows, features) float32 with NaN for missing."""
        shares = np.arange(1, bins) / bins
        return cls(bins=bins, edges=tuple(_edges(column, shares) for column in training.T))

    @property
    def places(self) -> int:
        """Places per feature: the bins, and the last one for what is missing."""
        return self.bins + 1

    def applied(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the place of each value, (rows, features) int32 in [0, places)."""
        found = np.empty(values.shape, dtype=np.int32)
        for feature, edges in enumerate(self.edges):
            column = values[:, feature]
            inside = np.searchsorted(edges, column, side="right")
            found[:, feature] = np.where(np.isfinite(column), inside, self.bins)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain values; a float32 survives the way through JSON bit for bit."""
        return {"bins": self.bins, "edges": [edges.tolist() for edges in self.edges]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> QuantileBins:
        """Read what `to_json` wrote."""
        edges = tuple(np.array(own, dtype=np.float32) for own in values["edges"])
        return cls(bins=values["bins"], edges=edges)


def _edges(column: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    known = column[np.isfinite(column)]
    if not len(known):
        return np.empty(0, dtype=np.float32)
    found = np.unique(np.quantile(known, shares, method="lower").astype(np.float32))
    return np.asarray(found[found > known.min()])  # what begins at the lowest value cuts off nothing
