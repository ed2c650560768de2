"""Ranks within groups and standard errors of means over dependent series, in plain numpy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_COMPARED = 48  # symbols; more are sorted instead of compared two by two


def group_ranks(values: npt.NDArray[Any], groups: npt.NDArray[Any]) -> Floats:
    """Average ranks from 1 within each group, (rows,) float64; equal values share the mean of their ranks."""
    order = np.lexsort((values, groups))
    sorted_values, sorted_groups = values[order], groups[order]
    count = len(order)
    ranks = np.empty(count, dtype=np.float64)
    if count == 0:
        return ranks
    new_group = np.concatenate(([True], sorted_groups[1:] != sorted_groups[:-1]))
    new_run = new_group | np.concatenate(([True], sorted_values[1:] != sorted_values[:-1]))
    run_start = np.flatnonzero(new_run)
    run_stop = np.append(run_start[1:], count)
    run_of = np.cumsum(new_run) - 1
    group_start = np.maximum.accumulate(np.where(new_group, np.arange(count), 0))
    ranks[order] = (run_start + run_stop - 1)[run_of] / 2.0 - group_start + 1.0
    return ranks


def group_scores(values: npt.NDArray[Any], groups: npt.NDArray[Any]) -> Floats:
    """Ranks within each group brought to mean 0 and variance 1; 0 throughout a group without variation."""
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(codes)
    ranks = group_ranks(values, codes)
    # The middle rank of a group is known exactly, so a constant group gives exact zeros.
    centred = ranks - (counts[codes] + 1) / 2.0
    spread = np.sqrt(np.bincount(codes, weights=centred**2) / counts)[codes]
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def bandwidth(count: int, horizon_bars: int) -> int:
    """Lags of a Newey-West sum for `count` samples of labels that overlap for `horizon_bars`.

    Four times the overlap: Bartlett weights over the overlap alone would miss a third of the variance of
    overlapping labels, more with slow features. At least Newey and West's (1994) rule 4 (n / 100)^(2/9), at
    most a third of the samples.
    """
    overlap = 4 * horizon_bars if horizon_bars > 1 else 1
    rule = math.floor(4.0 * math.pow(count / 100.0, 2.0 / 9.0))
    return max(0, min(max(overlap, rule), count // 3))


def mean_error(series: npt.NDArray[Any], horizon_bars: int) -> tuple[float, float]:
    """Standard error of a mean of overlapping labels' scores, and the independent samples it is worth.

    newey_west over bandwidth() lags, widened for the mean being estimated from the same samples: that
    takes about (lag + 1) / n off the long-run variance. At least 2 samples are needed.
    """
    lag = bandwidth(len(series), horizon_bars)
    error, effective = newey_west(series, lag)
    kept = 1.0 - (lag + 1) / len(series) if lag else 1.0
    return error / math.sqrt(kept), max(1.0, effective * kept)


def newey_west(series: npt.NDArray[Any], lag: int) -> tuple[float, float]:
    """Standard error of the mean of a dependent series, and the number of independent samples it is worth.

    Long-run variance with Bartlett weights 1 - l / (lag + 1), scaled by n / (n - 1); Newey and West (1987).
    Returns (standard error, effective n with 1 <= effective n <= n); (0, n) for a constant series and
    (nan, n) for one shorter than 2.
    """
    values = np.asarray(series, dtype=np.float64)
    count = len(values)
    if count < 2:
        return math.nan, float(count)
    centred = values - values.mean()
    variance = float(centred @ centred) / count
    if variance <= 0.0:
        return 0.0, float(count)
    long_run = variance
    for step in range(1, min(lag, count - 1) + 1):
        weight = 1.0 - step / (lag + 1.0)
        long_run += 2.0 * weight * float(centred[step:] @ centred[:-step]) / count
    # Negative dependence could make the sum small; it never counts as more than n independent samples.
    effective = min(float(count), max(1.0, count * variance / max(long_run, variance * 1e-9)))
    return math.sqrt(max(long_run, 0.0) / (count - 1)), effective


def t_quantile(degrees: float, upper: float = 1.959963984540054) -> float:
    """Student's t quantile for the normal quantile `upper`, by the Cornish-Fisher series.

    Source: Abramowitz and Stegun (1964), 26.7.5; good to 1 % from 3 degrees of freedom on.
    """
    freedom = max(2.0, degrees)
    z = upper
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    third = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + first / freedom + second / freedom**2 + third / freedom**3


def rank_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average ranks along each row, brought to mean 0 and variance 1; missing values and constants become 0.

    `values` (rows, columns) float32 with NaN for missing; returns the same shape. Ranks are taken among the
    row's own finite values, equal values share the mean of their ranks.
    """
    rows, columns = values.shape
    order = np.argsort(values, axis=1)  # NaN goes last
    ordered = np.take_along_axis(values, order, axis=1)
    counts = np.isfinite(ordered).sum(axis=1)
    place = np.arange(columns, dtype=np.float32)
    scores = np.zeros((rows, columns), dtype=np.float32)
    for row in range(rows):
        count = int(counts[row])
        if count < 2:
            continue
        own = ordered[row, :count]
        starts = np.flatnonzero(np.concatenate(([True], own[1:] != own[:-1])))
        ranks = place[:count]
        if len(starts) < count:
            sizes = np.diff(np.append(starts, count))
            ranks = np.repeat(starts + (sizes - 1) / 2.0, sizes).astype(np.float32)
        centred = ranks - np.float32((count - 1) / 2.0)
        spread = float(np.sqrt(np.dot(centred, centred) / count))
        if spread > 0.0:
            scores[row, order[row, :count]] = centred / np.float32(spread)
    return scores


def cross_scores(grid: npt.NDArray[np.float32], fewest: int) -> npt.NDArray[np.float32]:
    """Average ranks across the first axis at every other place, brought to mean 0 and variance 1 there.

    `grid` (symbols, ..., timestamps) float32 with NaN for missing; returns the same shape, 0 for missing
    values, for places with fewer than `fewest` values and for places without variation. The centred rank of a
    value is half of how many lie below it less how many lie above, so equal values need no extra care.
    """
    symbols = len(grid)
    if symbols > _MOST_COMPARED:
        return _cross_scores_of_many(grid, fewest)
    scores = np.zeros(grid.shape, dtype=np.float32)
    for first in range(symbols):
        for second in range(first):
            above = (grid[first] > grid[second]).view(np.int8)
            above -= (grid[first] < grid[second]).view(np.int8)
            scores[first] += above
            scores[second] -= above
    counts = np.isfinite(grid).sum(axis=0, dtype=np.int32)
    squares = np.einsum("s...,s...->...", scores, scores)
    usable = (counts >= fewest) & (squares > 0)
    scale = np.zeros(counts.shape, dtype=np.float32)
    np.divide(counts, squares, out=scale, where=usable)
    scores *= np.sqrt(scale)
    return scores


def _cross_scores_of_many(grid: npt.NDArray[np.float32], fewest: int) -> npt.NDArray[np.float32]:
    flat = np.ascontiguousarray(grid.reshape(len(grid), -1).T)  # (places, symbols)
    scores = rank_rows(flat)
    scores[np.isfinite(flat).sum(axis=1) < fewest] = 0.0
    return np.ascontiguousarray(scores.T).reshape(grid.shape)
