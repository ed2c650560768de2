"""Where the relation of labels to features changes: the exact best segmentation, by PELT.

Killick, Fearnhead and Eckley (Optimal Detection of Changepoints With a Linear Computational Cost, JASA 2012).
A segment's cost is twice the negative Gaussian log-likelihood of its own linear regression, its own variance
included, so a change of coefficients, of level or of noise all count; a further segment costs Schwarz's price
of its parameters (Yao, Statistics and Probability Letters 1988).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_VARIANCE = 1e-6  # of labels of variance 1: a perfect fit must not be worth infinitely much
_RIDGE_ROWS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Sums over a row of consecutive cells (one bar or some bars each), from the first up to each.

    Attributes:
        weight: (cells + 1,) of rows, discounted for what they have in common.
        products: (cells + 1, columns, columns) of the regressors, the constant among them.
        with_labels: (cells + 1, columns).
        squares: (cells + 1,) of the labels.
    """

    weight: Floats
    products: Floats
    with_labels: Floats
    squares: Floats

    @classmethod
    def of_rows(cls, values: Floats, labels: Floats, weights: Floats, places: Ints, count: int) -> Cells:
        """Sum up rows: `values` (rows, columns), `labels` and `weights` (rows,), `places` their cells."""
        columns = values.shape[1]
        with_labels = np.empty((count, columns))
        products = np.empty((count, columns, columns))
        for one in range(columns):
            weighted = weights * values[:, one]
            with_labels[:, one] = np.bincount(places, weights=weighted * labels, minlength=count)
            for two in range(columns):
                found = np.bincount(places, weights=weighted * values[:, two], minlength=count)
                products[:, one, two] = found
        return cls(
            weight=_from_zero(np.bincount(places, weights=weights, minlength=count)),
            products=_from_zero(products),
            with_labels=_from_zero(with_labels),
            squares=_from_zero(np.bincount(places, weights=weights * labels**2, minlength=count)),
        )

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.weight) - 1

    @property
    def columns(self) -> int:
        """Number of regressors."""
        return int(self.with_labels.shape[1])

    def costs(self, begins: Ints, end: int | Ints) -> Floats:
        """Return the cost of the segments of cells [begin, end), (begins,)."""
        weight = self.weight[end] - self.weight[begins]
        right = self.with_labels[end] - self.with_labels[begins]
        left = self.products[end] - self.products[begins] + _RIDGE_ROWS * np.eye(self.columns)
        solved = np.linalg.solve(left, right[..., None])[..., 0]
        left_over = self.squares[end] - self.squares[begins] - (right * solved).sum(axis=-1)
        variance = np.maximum(left_over / np.maximum(weight, 1e-12), _LEAST_VARIANCE)
        return np.asarray(weight * np.log(variance))

    def price(self) -> float:
        """Return Schwarz's price of one more segment: coefficients, a variance and the place of the break."""
        return float((self.columns + 2) * np.log(max(2.0, self.weight[-1])))


class Pelt:
    """The search, some cells at a time; all it remembers are four arrays."""

    def __init__(self, cells: Cells, *, price: float, fewest: int) -> None:
        """Search `cells` with this `price` of a further segment, each of `fewest` cells or more."""
        self._cells, self._price, self._fewest = cells, price, max(1, fewest)
        self.best = np.full(cells.count + 1, np.inf)  # of the cells up to here
        self.best[0] = -price
        self.last = np.zeros(cells.count + 1, dtype=np.int64)  # where the last segment of that begins
        self.doomed = np.full(cells.count + 1, np.iinfo(np.int64).max)  # from which end on it is no begin
        self.done = np.zeros(1, dtype=np.int64)

    def advance(self, cells: int) -> None:
        """Look at up to `cells` more ends."""
        for end in range(int(self.done[0]) + 1, min(int(self.done[0]) + cells, self._cells.count) + 1):
            self._look_at(end)
            self.done[0] = end

    def breaks(self) -> tuple[int, ...]:
        """Return the cells at which a new segment begins, ascending, the first one left out."""
        found: list[int] = []
        begin = int(self.last[self._cells.count])
        while begin > 0:
            found.append(begin)
            begin = int(self.last[begin])
        return tuple(reversed(found))

    def _look_at(self, end: int) -> None:
        begins = np.flatnonzero((self.doomed[:end] > end) & np.isfinite(self.best[:end]))
        begins = begins[begins <= end - self._fewest]
        if not len(begins):
            return
        without = self.best[begins] + self._cells.costs(begins, end)
        chosen = int(np.argmin(without))
        self.best[end] = without[chosen] + self._price
        self.last[end] = begins[chosen]
        # What is worse than a break right here stays worse once that break may be made.
        worse = begins[without > self.best[end]]
        self.doomed[worse] = np.minimum(self.doomed[worse], end + self._fewest)


def sharpened(cells: Cells, breaks: tuple[int, ...], reach: int, fewest: int) -> tuple[int, ...]:
    """Return the breaks each moved by up to `reach` cells to where its two segments cost least together."""
    found = list(breaks)
    for number in range(len(found)):
        left = found[number - 1] if number else 0
        right = found[number + 1] if number + 1 < len(found) else cells.count
        first = max(found[number] - reach, left + fewest)
        last = min(found[number] + reach, right - fewest)
        if first > last:
            continue
        places = np.arange(first, last + 1)
        lefts = cells.costs(np.full(len(places), left), places)
        found[number] = int(places[np.argmin(lefts + cells.costs(places, right))])
    return tuple(found)


def shared_noise(values: Floats, errors: Floats, weights: Floats, bars: Ints, span: int) -> float:
    """Return how many rows are worth one independent row, at least 1.

    `values` (rows, columns), `errors` and `weights` (rows,), `bars` (rows,) their bars from 0; labels overlap
    for `span` bars. Compared are the sums of weight x value x error over blocks of bars with what they would
    spread if rows were independent. Neighbouring blocks are subtracted, so a change of the relation hardly
    counts as noise. The columns' ratios are brought to one number as Satterthwaite (Biometrics 1946) does for
    sums of unequal squares: the larger ones decide.
    """
    length = max(1, 2 * span) if span > 1 else 1
    blocks = bars // length
    count = int(blocks.max(initial=0)) + 1
    ratios = []
    for column in values.T:
        parts = weights * column * errors
        sums = np.bincount(blocks, weights=parts, minlength=count)
        alone = float((parts**2).sum())
        if alone > 0 and count > 2:
            ratios.append(0.5 * float((np.diff(sums) ** 2).sum()) * count / (count - 1) / alone)
    return max(1.0, float(np.square(ratios).sum() / np.sum(ratios))) if any(ratios) else 1.0


def _from_zero(sums: NDArray[np.number]) -> Floats:
    return np.concatenate([np.zeros((1, *sums.shape[1:])), np.cumsum(sums, axis=0, dtype=np.float64)])
