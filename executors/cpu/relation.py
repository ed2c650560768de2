"""How labels hang together with a few features, bar by bar of the training part, to be cut into segments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from executors.cpu.experts import Sample
from executors.cpu.segments import Cells, Floats, Ints, shared_noise, sharpened

_LABEL_LIMIT = 4.0  # standard deviations: heavy tails are no breaks
_PARTS = 8
_FEWEST_BARS = 10
_SHORTEST_SHARE = 30  # a segment has at least one part in so many
_ROWS_PER_COLUMN = 4.0
_BARS_AROUND = 10
_CALMEST = 0.01  # of the usual variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """The sums of each cell of bars, and what one needs to read them.

    Attributes:
        codes: (bars,) time codes of the training part's bars.
        cells: sums by cell, each of `bars_per_cell` bars; rows weigh as many independent ones.
        fine: sums by bar.
        bars_per_cell: 1 unless the training part has more bars than are searched.
        shared: rows that are worth one independent row.
    """

    codes: Ints
    cells: Cells
    fine: Cells
    bars_per_cell: int
    shared: float

    @classmethod
    def of(
        cls, codes: Ints, sample: Sample, weights: Floats, *, relations: int, span: int, most: int
    ) -> Relation:
        """Sum up training rows with time codes `codes` (rows,), `sample`, and `weights`, (rows,).

        The search looks at the `relations` features whose correlation with the label differs most from zero
        somewhere: in parts of the time, so that a relation that turns round is seen. Rows of wild times count
        less, by the variance of the labels around them, so that wild and quiet times alone are no break.
        Labels span `span` bars, at most `most` cells are made. Classes count by their places.
        """
        bars, places = np.unique(codes, return_inverse=True)
        labels = _standard(sample.labels, weights)
        chosen = _chosen(sample.values, labels, weights, places * _PARTS // len(bars), relations)
        values = np.column_stack([sample.values[:, chosen].astype(np.float64), np.ones(len(labels))])
        errors = labels - values @ np.linalg.lstsq(values, labels, rcond=None)[0]
        calm = 1.0 / _local_scale(errors, places, len(bars))[places]
        values, labels, errors = values * calm[:, None], labels * calm, errors * calm
        shared = shared_noise(values, errors, weights, places, span)
        size = -(-len(bars) // most)
        count = -(-len(bars) // size)
        return cls(
            codes=bars,
            cells=Cells.of_rows(values, labels, weights / shared, places // size, count),
            fine=Cells.of_rows(values, labels, weights / shared, places, len(bars)),
            bars_per_cell=size,
            shared=shared,
        )

    @property
    def bars(self) -> int:
        """Number of bars."""
        return len(self.codes)

    def fewest(self, bars: int) -> int:
        """Return how many cells a segment must have: `bars` if given, else enough to tell its relation."""
        rows_per_bar = float(self.fine.weight[-1]) / self.bars
        needed = int(np.ceil(_ROWS_PER_COLUMN * self.cells.columns / max(rows_per_bar, 1e-9)))
        wanted = bars or max(_FEWEST_BARS, self.bars // _SHORTEST_SHARE, needed)
        return -(-wanted // self.bars_per_cell)

    def codes_of(self, breaks: tuple[int, ...]) -> Ints:
        """Return the time codes of the bars at which a new segment begins, (breaks,), told to the bar."""
        return self.codes[list(self._bars_of(breaks))] if breaks else np.zeros(0, dtype=np.int64)

    def variance(self, breaks: tuple[int, ...]) -> float:
        """Return the variance of the labels (of variance 1) around the relation of their segments."""
        edges = (0, *self._bars_of(breaks), self.bars)
        total = 0.0
        for begin, end in pairwise(edges):
            weight = float(self.fine.weight[end] - self.fine.weight[begin])
            cost = float(self.fine.costs(np.array([begin]), end)[0])
            total += weight * float(np.exp(cost / max(weight, 1e-12)))
        return total / max(float(self.fine.weight[-1]), 1e-12)

    def _bars_of(self, breaks: tuple[int, ...]) -> tuple[int, ...]:
        if self.bars_per_cell == 1 or not breaks:
            return breaks
        coarse = tuple(place * self.bars_per_cell for place in breaks)
        return sharpened(self.fine, coarse, 2 * self.bars_per_cell, _FEWEST_BARS)


def _standard(labels: Floats, weights: Floats) -> Floats:
    """Return labels of weighted mean 0 and variance 1, cut where tails begin."""
    mean = float(np.average(labels, weights=weights))
    spread = float(np.sqrt(np.average((labels - mean) ** 2, weights=weights))) or 1.0
    return np.asarray(np.clip((labels - mean) / spread, -_LABEL_LIMIT, _LABEL_LIMIT))


def _local_scale(errors: Floats, places: Ints, bars: int) -> Floats:
    """Return how wild the times around each bar are against all, (bars,) with mean square about 1."""
    squares = np.bincount(places, weights=errors**2, minlength=bars)
    counts = np.bincount(places, minlength=bars).astype(np.float64)
    around = np.ones(min(bars, 2 * _BARS_AROUND + 1))
    local = np.convolve(squares, around, mode="same") / np.maximum(
        np.convolve(counts, around, mode="same"), 1.0
    )
    overall = float(squares.sum()) / max(1, len(errors)) or 1.0
    return np.asarray(np.sqrt(np.maximum(local / overall, _CALMEST)))


def _chosen(
    values: NDArray[np.float32], labels: Floats, weights: Floats, parts: Ints, most: int
) -> NDArray[np.int64]:
    """Return the columns to watch, ascending, (columns,)."""
    evidence = np.zeros(values.shape[1])
    for number in range(values.shape[1]):
        column = values[:, number].astype(np.float64)
        products = np.bincount(parts, weights=weights * column * labels, minlength=_PARTS)
        squares = np.bincount(parts, weights=weights * column**2, minlength=_PARTS)
        evidence[number] = float((products**2 / np.maximum(squares, 1e-12)).sum())
    best = np.argsort(-evidence, kind="stable")[:most]
    return np.sort(best).astype(np.int64)
