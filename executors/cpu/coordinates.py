"""What a row is to a linear model that can bend: a constant, its features, and a bin of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.cpu.bins import QuantileBins
from executors.cpu.links import ordered_product
from executors.preprocessing import Standardisation

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """What a row is to the model: 1, its standardised features, and its place among the bins of each.

    An indicator is the root of the number of bins instead of 1, so that its square is 1 on average, like that
    of a standardised feature, and l1 asks the same of both.
    """

    standardisation: Standardisation
    bins: QuantileBins | None

    @classmethod
    def fitted(cls, training: NDArray[np.float32], bins: int) -> Coordinates:
        """Fit on the training rows alone, (rows, features) float32 with NaN for missing."""
        return cls(
            standardisation=Standardisation.fitted(training),
            bins=QuantileBins.fitted(training, bins) if bins > 1 else None,
        )

    @property
    def features(self) -> int:
        """Features a row has."""
        return len(self.standardisation.mean)

    @property
    def count(self) -> int:
        """Coordinates a row has."""
        return 1 + self.features * (1 + (self.bins.places if self.bins else 0))

    def dense(self, features: NDArray[np.float32]) -> Array:
        """Return the rows as they are learnt, (rows, count) float64, mostly zeros."""
        found = np.zeros((len(features), self.count))
        found[:, 0] = 1.0
        found[:, 1 : 1 + self.features] = self.standardisation.applied(features)
        if self.bins:
            places = self._indicators(self.bins, features)
            np.put_along_axis(found, places, np.sqrt(self.bins.bins), axis=1)
        return found

    def scores(self, features: NDArray[np.float32], weights: Array) -> Array:
        """Return `dense(features)` times `weights` (count, outputs), the same bits in any company."""
        linear = self.standardisation.applied(features).astype(np.float64)
        total = weights[0] + ordered_product(linear, weights[1 : 1 + self.features])
        if self.bins:
            for places in self._indicators(self.bins, features).T:
                total = total + weights[places] * np.sqrt(self.bins.bins)
        return np.asarray(total, dtype=np.float64)

    def importances(self, weights: Array) -> list[float]:
        """Return how much each feature's weights come to in sum, sizes without signs."""
        sizes = np.abs(weights).sum(axis=1)
        total = sizes[1 : 1 + self.features]
        if self.bins:
            of_bins = sizes[1 + self.features :].reshape(self.features, -1).sum(axis=1)
            total = total + of_bins / np.sqrt(self.bins.bins)
        return [float(value) for value in total]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        bins = self.bins.to_json() if self.bins else None
        return {"standardisation": self.standardisation.to_json(), "bins": bins}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Coordinates:
        """Read what `to_json` wrote."""
        bins = QuantileBins.from_json(values["bins"]) if values["bins"] else None
        return cls(standardisation=Standardisation.from_json(values["standardisation"]), bins=bins)

    def _indicators(self, bins: QuantileBins, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the coordinate of each feature's bin, (rows, features)."""
        firsts = 1 + self.features + np.arange(self.features, dtype=np.int64) * bins.places
        return np.asarray(firsts + bins.applied(features), dtype=np.int64)
