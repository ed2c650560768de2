"""Copies in some of the rows: where feature / target, or their changes', is one and the same number.

A feature that is a * y + b in a share p of the rows and anything else in the others correlates with y by no
more than p. But log|x / y| (for b = 0) and log|dx / dy| over pairs of neighbouring rows (for any b, in p^2 of
the pairs and more when the copied rows are neighbours) then have a spike where honest numbers have a smooth
density. The same share for labels already over is taken off, so what is in the numbers themselves (few
distinct values, a legal lag) counts for nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from panel.aligned import Panel
from panel.ranks import rank_rows

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SAMPLED_ROWS = 20_000
_PAIR_STEPS = (1, 2, 3)
_BINS_PER_UNIT = 2_000.0
_REACH = 10.0  # units of the logarithm to either side of the middle
_BINS = int(2 * _REACH * _BINS_PER_UNIT)
_FEWEST_DISTINCT = 50
_FEWEST_ROWS = 30
_FEWEST_ALIKE = 8
_HIGHEST_DENSITY = 0.5  # of log|x / y|; 1 / pi for independent normal numbers


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows drawn over all symbols, and of each the rows a few bars before, where its symbol has them."""

    rows: Ints
    pairs: tuple[tuple[Ints, Ints], ...]  # (later, earlier) rows


@dataclass(frozen=True, slots=True)
class Logs:
    """Logarithms of sizes around their middle: of the values, and of their differences over all pairs."""

    values: Float32s
    differences: Float32s


def sample_of(rows_of_symbols: Sequence[Ints]) -> Sample:
    """Draw rows evenly at random, the same for the same rows."""
    every = np.concatenate(rows_of_symbols) if rows_of_symbols else np.empty(0, dtype=np.int64)
    starts = np.cumsum([0, *(len(rows) for rows in rows_of_symbols)])
    wanted = min(SAMPLED_ROWS, len(every))
    places = np.sort(np.random.default_rng(len(every)).choice(len(every), wanted, replace=False))
    since = places - starts[np.searchsorted(starts, places, side="right") - 1]
    pairs = tuple((every[places[since >= step]], every[places[since >= step] - step]) for step in _PAIR_STEPS)
    return Sample(every[places], pairs)


def logs_of(values: npt.NDArray[np.floating], sample: Sample) -> Logs | None:
    """Return the logarithms of a column, (rows of the panel,); None for few distinct values."""
    own = values[sample.rows].astype(np.float64)
    known = own[np.isfinite(own)]
    if len(known) < _FEWEST_ROWS or len(np.unique(known[:2_000])) < _FEWEST_DISTINCT:
        return None
    differences = [values[later].astype(np.float64) - values[before] for later, before in sample.pairs]
    return Logs(_logs(own), _logs(np.concatenate(differences)))


def spikes_of(feature: Logs, label: Logs, over: Logs | None) -> tuple[float, float]:
    """Return the share of the commonest ratio with the coming label less that with the label over.

    Of values, and of differences.
    """
    return (
        _excess(feature.values, label.values, None if over is None else over.values),
        _excess(feature.differences, label.differences, None if over is None else over.differences),
    )


def calendar_share(
    panel: Panel, values: npt.NDArray[np.floating], sample: Sample, slots: Sequence[Ints]
) -> float:
    """Return the largest share of a column's variance that one calendar (time code -> slot) explains."""
    own = values[sample.rows]
    known = np.isfinite(own)
    own, codes = own[known], panel.time_codes[sample.rows[known]]
    if len(own) < _FEWEST_ROWS or np.ptp(own) <= 0.0:
        return 0.0
    order = rank_rows(np.asarray(own[None, :], dtype=np.float32))[0].astype(np.float64)
    found = []
    for calendar in slots:
        place = calendar[codes]
        counts = np.bincount(place)
        means = np.bincount(place, weights=order) / np.maximum(counts, 1)
        within = order - means[place]
        # Every slot's mean takes one degree of freedom from within.
        freedom = max(1, len(own) - int((counts > 0).sum()))
        found.append(1.0 - (within @ within / freedom) / float(order.var()))
    return float(max(0.0, *found))


def _logs(values: Floats) -> Float32s:
    usable = np.isfinite(values) & (values != 0.0)
    logs = np.full(len(values), np.nan, dtype=np.float32)
    if usable.any():
        found = np.log(np.abs(values[usable]))
        logs[usable] = found - np.median(found)
    return logs


def _excess(feature: Float32s, label: Float32s, over: Float32s | None) -> float:
    ahead = _spike(feature, label)
    if ahead <= 0.0 or over is None:
        return ahead
    return max(0.0, ahead - _spike(feature, over))


def _spike(feature: Float32s, label: Float32s) -> float:
    """Share of the usable rows in the fullest two neighbouring bins of feature / label."""
    ratio = feature - label
    ratio += np.float32(_REACH)
    ratio *= np.float32(_BINS_PER_UNIT)
    usable = (ratio > 0.0) & (ratio < _BINS)
    counts = np.bincount(ratio[usable].astype(np.int32), minlength=2)
    rows, most = int(counts.sum()), int((counts[1:] + counts[:-1]).max())
    return most / rows if most >= _FEWEST_ALIKE + _chance(rows) else 0.0


def _chance(rows: int) -> float:
    """Rows that two bins hold by chance where the density of ratios is highest, and six deviations more."""
    expected = rows * 2.0 * _HIGHEST_DENSITY / _BINS_PER_UNIT
    return expected + 6.0 * math.sqrt(expected)
