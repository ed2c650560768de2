"""The market bar by bar, from the features of all its symbols, and the few slow directions it moves in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.dataset import feature_matrix
from executors.preprocessing import Standardisation
from panel.aligned import Panel

Floats = NDArray[np.float64]

_CALM = 1e-6  # added to a mean square before its logarithm
_SMALLEST = 1e-6  # of the largest eigenvalue: below it a direction is a rounding error
_CLIP = 8.0
_BARS_PER_DIRECTION = 10
_MOST_DIRECTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One row per bar at which any of the symbols has a row.

    Attributes:
        codes: (bars,) int64 time codes, ascending.
        values: (bars, features + 1): means of the standardised features over the bar's symbols, and the
            logarithm of their mean square over symbols and features, how turbulent the bar was.
    """

    codes: NDArray[np.int64]
    values: Floats

    def place_of(self, time_codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the bars at which rows with these time codes stand, (rows,)."""
        return np.asarray(np.searchsorted(self.codes, time_codes), dtype=np.int64)


def rows_in(panel: Panel, symbol: str | None) -> slice:
    """Return the rows of a fit: of its one symbol, or of all."""
    return slice(0, panel.rows) if symbol is None else panel.rows_of(symbol)


def market_of(panel: Panel, own: slice, features: tuple[str, ...], scaled: Standardisation) -> Market:
    """Return the market made of the rows `own`; a bar's values depend on that bar's rows alone."""
    codes, places = np.unique(panel.time_codes[own], return_inverse=True)
    counts = np.bincount(places, minlength=len(codes)).astype(np.float64)
    values = np.empty((len(codes), len(features) + 1))
    squares = np.zeros(len(codes))
    for number, name in enumerate(features):  # column by column, so that little memory is needed
        column = _standardised(panel, own, name, number, scaled)
        values[:, number] = np.bincount(places, weights=column, minlength=len(codes)) / counts
        squares += np.bincount(places, weights=column**2, minlength=len(codes)) / counts
    values[:, -1] = np.log(squares / max(1, len(features)) + _CALM)
    return Market(codes=codes.astype(np.int64), values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDirections:
    """The directions in which a series moves slowest, each of variance 1 where they were fitted.

    Principal components are taken for their spread; a regime is what lasts, so among the whitened
    components those combinations are kept whose steps are smallest against their spread (Switzer and
    Green, Min/max autocorrelation factors, 1984; Wiskott and Sejnowski, Slow Feature Analysis, 2002).
    """

    mean: Floats  # (columns,)
    directions: Floats  # (columns, directions)

    @classmethod
    def fitted(cls, values: Floats, most: int) -> SlowDirections:
        """Fit on (bars, columns) of past bars, keeping at most `most` directions; none if nothing moves."""
        mean = values.mean(axis=0)
        spread = values.std(axis=0)
        moving = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
        scale = np.where(moving, 1.0 / np.where(moving, spread, 1.0), 0.0)
        standard = (values - mean) * scale
        sizes, vectors = np.linalg.eigh(standard.T @ standard / max(1, len(values)))
        limit = max(1, min(_MOST_DIRECTIONS, len(values) // _BARS_PER_DIRECTION))
        kept = np.flatnonzero(sizes > _SMALLEST * max(float(sizes.max(initial=0.0)), 1e-12))[-limit:]
        if not len(kept) or len(values) < 3:
            return cls(mean=mean, directions=np.zeros((values.shape[1], 0)))
        whitening = vectors[:, kept] / np.sqrt(sizes[kept])  # (columns, kept)
        steps = np.diff(standard @ whitening, axis=0)
        _, slow = np.linalg.eigh(steps.T @ steps)  # ascending: the slowest first
        directions = scale[:, None] * (whitening @ slow[:, :most])
        largest = directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])]
        return cls(mean=mean, directions=np.asarray(directions * np.sign(largest)))

    def applied(self, values: Floats) -> Floats:
        """Return the series in these directions, (bars, directions); a bar's depend on that bar alone."""
        apart = values - self.mean
        found = [(apart * direction).sum(axis=1) for direction in self.directions.T]
        stacked = np.stack(found, axis=1) if found else np.zeros((len(values), 0))
        return np.asarray(np.clip(stacked, -_CLIP, _CLIP))


def _standardised(panel: Panel, own: slice, name: str, number: int, scaled: Standardisation) -> Floats:
    """Return one feature of the rows `own`, (rows,) float64, filled and standardised."""
    place = slice(number, number + 1)
    one = Standardisation(median=scaled.median[place], mean=scaled.mean[place], scale=scaled.scale[place])
    return one.applied(feature_matrix(panel, (name,), own))[:, 0].astype(np.float64)
