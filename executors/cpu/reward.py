"""What positions earn: the Sharpe ratio of their returns after the costs of trading, and its slopes.

Moody and Saffell, "Learning to trade via direct reinforcement", IEEE Transactions on Neural Networks 12,
2001: positions are judged by what they earn, R = position x return - cost x |change of position|, and the
ratio of mean to spread of R over time is climbed by its gradient, without a forecast in between.

A label tells of the `horizon` bars after its row. The book is run in as many parts as the horizon has bars,
one of which is renewed at each bar: a position taken at a row stands for `horizon` bars of its symbol and
then gives way to that of the row `horizon` bars later. So no bar is held twice by a part, and what is
traded at a row is the difference from the symbol's position `horizon` bars before. A ratio here is of
returns over a holding period.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panel.aligned import Panel
from panel.ranks import mean_error

Array = NDArray[np.float64]

_SMOOTH = 1e-3  # of a position: the size of a change is rounded off at nothing, where it has no slope
_NO_SPREAD = 1e-12  # of squared positions: they are all the same
_FEWEST_BARS = 3
_STILL = 0.01  # added to the spread: a book that hardly moves earns no infinite ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The straight line of returns on positions: its slope, the slope's standard error, the mean position.

    The error comes from sums per bar, since symbols move together, widened for labels that overlap.
    """

    slope: float
    error: float
    mean_position: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Rows whose positions are judged, and where the positions they replace are found.

    Attributes:
        rows: (positions,) panel rows that need a position, ascending: the judged ones and those before.
        now: (judged,) places in `rows`.
        before: (judged,) places in `rows` of the position replaced, -1 where there was none.
        returns: (judged,) what a whole position earns, in scales of the label.
        bars: (judged,) number of the bar, from 0.
        shares: (judged,) of a row in its bar, adding up to 1.
        bar_weights: (bars,) of a bar in the ratio, adding up to 1.
        cost: of changing a position by 1, in scales of the label.
    """

    rows: NDArray[np.int64]
    now: NDArray[np.int64]
    before: NDArray[np.int64]
    returns: Array
    bars: NDArray[np.int64]
    shares: Array
    bar_weights: Array
    cost: float

    @classmethod
    def of(
        cls,
        panel: Panel,
        rows: NDArray[np.int64],
        *,
        horizon_bars: int,
        returns: NDArray[Any],
        weights: NDArray[Any],
        cost: float,
    ) -> Book:
        """Return the book of the panel rows `rows` (ascending) with their `returns` and row weights."""
        before = rows - horizon_bars
        codes = panel.symbol_codes
        is_there = (before >= 0) & (codes[np.maximum(before, 0)] == codes[rows])
        everything = np.union1d(rows, before[is_there])
        _, bars = np.unique(panel.time_codes[rows], return_inverse=True)
        bars = bars.reshape(-1)
        of_bar = np.bincount(bars, weights=weights)
        return cls(
            rows=everything,
            now=np.searchsorted(everything, rows),
            before=np.where(is_there, np.searchsorted(everything, before), -1),
            returns=np.asarray(returns, dtype=np.float64),
            bars=bars,
            shares=np.asarray(weights / of_bar[bars], dtype=np.float64),
            bar_weights=of_bar / of_bar.sum(),
            cost=cost,
        )

    def changes(self, positions: NDArray[Any]) -> Array:
        """Return by how much each judged row's position differs from the one it replaces, (judged,)."""
        before = np.where(self.before >= 0, positions[self.before], 0.0)
        return np.asarray(positions[self.now] - before, dtype=np.float64)

    def ratio(self, positions: NDArray[Any]) -> float:
        """Return the Sharpe ratio after costs of the `positions` (of `rows`, in [-1, 1])."""
        changes = self.changes(positions)
        mean, spread, _ = self._moments(positions, _size(changes))
        return mean / spread

    def without_cost(self) -> Book:
        """Return the same book where trading costs nothing."""
        return replace(self, cost=0.0)

    def ratio_and_slopes(self, positions: NDArray[Any]) -> tuple[float, Array]:
        """Return the ratio and its derivative by each position, (positions,)."""
        changes = self.changes(positions)
        sizes = _size(changes)
        mean, spread, earned = self._moments(positions, sizes)
        by_bar = self.bar_weights * (1.0 / spread - mean * (earned - mean) / spread**3)
        by_row = by_bar[self.bars] * self.shares
        by_change = -by_row * self.cost * changes / (sizes + _SMOOTH)
        found = np.zeros(len(self.rows))
        found[self.now] += by_row * self.returns + by_change  # every row is once in `now`
        replaced = self.before >= 0
        found[self.before[replaced]] -= by_change[replaced]  # and at most once in `before`
        return mean / spread, found

    def line(self, positions: NDArray[Any], horizon_bars: int) -> Line:
        """Return how the returns lie on the positions; labels of `horizon_bars` bars overlap."""
        weights = self.shares * self.bar_weights[self.bars]
        own = positions[self.now].astype(np.float64)
        mean = float(weights @ own)
        apart = own - mean
        spread = float(weights @ apart**2)
        if spread < _NO_SPREAD or len(self.bar_weights) < _FEWEST_BARS:
            return Line(slope=0.0, error=0.0, mean_position=mean)
        slope = float(weights @ (apart * self.returns)) / spread
        left = self.returns - weights @ self.returns - slope * apart
        by_bar = np.bincount(self.bars, weights=weights * apart * left) * len(self.bar_weights)
        error, _ = mean_error(by_bar, horizon_bars)
        return Line(slope=slope, error=error / spread, mean_position=mean)

    def _moments(self, positions: NDArray[Any], sizes: Array) -> tuple[float, float, Array]:
        """Return mean and spread of what the bars earn, and what each earns, (bars,)."""
        of_rows = positions[self.now] * self.returns - self.cost * sizes
        earned: Array = np.bincount(self.bars, weights=of_rows * self.shares).astype(np.float64)
        mean = float(self.bar_weights @ earned)
        spread = float(np.sqrt(self.bar_weights @ (earned - mean) ** 2 + _STILL**2))
        return mean, spread, earned


def _size(changes: Array) -> Array:
    """Return |change|, rounded off near nothing so that it has a slope everywhere."""
    return np.asarray(np.sqrt(changes * changes + _SMOOTH**2) - _SMOOTH)
