"""Features and labels as scores on one time axis: ranked once, shared by every screen.

Two kinds of scores. *Cross* scores are ranks across symbols at each timestamp: the mean product of two of
them is the mean rank IC. *Time* scores are ranks within a symbol over time: their mean product is its rank
correlation. Both are brought to mean 0 and variance 1, then stripped of what never changes: each symbol's own
mean and, on bars shorter than a day, mean and spread of each time of day (everybody knows the clock). A
missing value is 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from panel.metrics import FEWEST_SYMBOLS, symbols_needed
from panel.ranks import cross_scores, rank_rows
from planner.shift_null import time_axis

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

CROSS, TIME = "cross", "time"

_FEWEST_IN_SLOT = 8
_FLAT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One series of labels: a regression or binary target, or one class of a multiclass target."""

    target: str
    horizon_bars: int
    pooled: str  # how it is scored over all symbols: CROSS or TIME
    level: float | None  # the class whose indicator it is


@dataclass(frozen=True, slots=True)
class Axis:
    """The timestamps before `until`, and where each symbol's rows lie on them."""

    panel: Panel
    until: int
    rows: tuple[Ints, ...]  # per symbol, row numbers of the panel
    codes: tuple[Ints, ...]  # per symbol, the time codes of these rows
    slots: Ints | None  # (timestamps,) time of day; None from daily bars on

    @property
    def length(self) -> int:
        """Number of timestamps."""
        return self.until

    @property
    def bars(self) -> npt.NDArray[np.bool_]:
        """Where symbols have bars, (symbols, timestamps)."""
        found = np.zeros((len(self.codes), self.until), dtype=np.bool_)
        for own, codes in zip(found, self.codes, strict=True):
            own[codes] = True
        return found

    def grid(self, names: Sequence[str]) -> Float32s:
        """Raw values of columns, (symbols, columns, timestamps) float32, NaN where a symbol has no bar."""
        grid = np.full((len(self.rows), len(names), self.until), np.nan, dtype=np.float32)
        for symbol, (rows, codes) in enumerate(zip(self.rows, self.codes, strict=True)):
            for place, name in enumerate(names):
                grid[symbol, place, codes] = self.panel.values(name)[rows]
        return grid

    def on_grid(self, values: npt.NDArray[np.floating]) -> Float32s:
        """Values of all panel rows, (rows,), as (symbols, timestamps) float32, NaN where there is no bar."""
        grid = np.full((len(self.rows), self.until), np.nan, dtype=np.float32)
        for symbol, (rows, codes) in enumerate(zip(self.rows, self.codes, strict=True)):
            grid[symbol, codes] = values[rows]
        return grid


def axis_of(panel: Panel, until: int) -> Axis:
    """Return the axis of what is known before time code `until`."""
    rows, codes = [], []
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        before = int(np.searchsorted(panel.time_codes[own], until))
        rows.append(np.arange(own.start, own.start + before, dtype=np.int64))
        codes.append(panel.time_codes[own.start : own.start + before].astype(np.int64))
    clock = time_axis(panel)
    slots = (clock.places % clock.step)[:until] if clock.step > 1 else None
    return Axis(panel, until, tuple(rows), tuple(codes), slots)


def channels_of(panel: Panel, columns: Sequence[Column]) -> tuple[Channel, ...]:
    """Return the label series of targets in their order; a multiclass target has one for each class."""
    found = []
    for column in columns:
        across = column.task == "regression" and len(panel.symbols) >= FEWEST_SYMBOLS
        levels = column.classes if column.task == "multiclass" else (None,)
        found += [
            Channel(
                target=column.name,
                horizon_bars=column.horizon_bars or 1,
                pooled=CROSS if across else TIME,
                level=level,
            )
            for level in levels
        ]
    return tuple(found)


def label_grid(axis: Axis, channels: Sequence[Channel]) -> Float32s:
    """Raw labels, (symbols, channels, timestamps) float32; NaN where the label's window reaches `until`."""
    grid = np.full((len(axis.rows), len(channels), axis.until), np.nan, dtype=np.float32)
    for place, channel in enumerate(channels):
        values = axis.panel.values(channel.target)
        ends = axis.panel.label_end_codes(channel.horizon_bars)
        for symbol, (rows, codes) in enumerate(zip(axis.rows, axis.codes, strict=True)):
            own = np.where(ends[rows] < axis.until, values[rows], np.nan)
            if channel.level is not None:
                own = np.where(np.isfinite(own), own == np.float32(channel.level), np.nan)
            grid[symbol, place, codes] = own
    return grid


def across(grid: Float32s) -> Float32s:
    """Return raw values, (symbols, columns, timestamps), as their ranks across symbols, same shape."""
    return cross_scores(grid, symbols_needed(len(grid)))


def cross(axis: Axis, grid: Float32s, ranked: Float32s | None = None) -> Float32s:
    """Return cross scores of features, (symbols, columns, timestamps), from their own past, same shape.

    `ranked` is what `across` says of them, where that is known already.
    """
    scores = across(grid) if ranked is None else ranked
    return past_centred(axis, scores, np.isfinite(grid) & (scores != 0.0).any(axis=0))


def time_features(axis: Axis, grid: Float32s) -> Float32s:
    """Return time scores of features, (symbols, columns, timestamps), from their own past, same shape."""
    return past_centred(axis, np.stack([rank_rows(own) for own in grid]), np.isfinite(grid))


def over_time(axis: Axis, grid: Float32s) -> Float32s:
    """Return time scores of labels, (symbols, columns, timestamps), around their mean, same shape."""
    scores = np.stack([rank_rows(own) for own in grid])
    if axis.slots is None:
        return scores
    return _shaped(axis.slots, scores, np.isfinite(grid)).astype(np.float32)


def folded(scores: Float32s) -> Float32s:
    """Return how far scores lie from the middle, around 0: what a law of size without sign is seen by."""
    size = np.abs(scores)
    present = scores != 0.0
    counts = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    size -= size.sum(axis=-1, keepdims=True) / counts.astype(np.float32)
    return np.where(present, size, np.float32(0.0))


def chunks(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def past_centred(axis: Axis, scores: Float32s, present: npt.NDArray[np.bool_]) -> Float32s:
    """Measure features' scores from their own past, (symbols, columns, timestamps), same shape, spread 1.

    From each score goes the mean of the symbol's scores up to that bar, not that of all time. A feature that
    wanders, like a price, lies over its mean of all time because of what comes later: its product with coming
    moves would be negative by construction, the bias of Dickey and Fuller (1979) and Stambaugh (1999), and
    every symbol of a pool would add to it. Intraday each time of day loses the rest of its own mean, and gets
    spread 1. Where a value is not `present` the score is 0.
    """
    known = np.where(present, scores, np.float32(0.0))
    counts = np.maximum(np.cumsum(present, axis=-1, dtype=np.float32), np.float32(1.0))
    made = np.where(present, known - np.cumsum(known, axis=-1, dtype=np.float64) / counts, 0.0)
    if axis.slots is not None:
        made = _shaped(axis.slots, made, present)
    sizes = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    spread = np.sqrt(np.einsum("sft,sft->sf", made, made)[..., None] / sizes)
    scaled: Float32s = np.divide(made, spread, out=np.zeros_like(made), where=spread > _FLAT).astype(
        np.float32
    )
    return scaled


def cross_labels(axis: Axis, grid: Float32s) -> Float32s:
    """Return labels ranked across symbols, (symbols, columns, timestamps); intraday without the clock's part.

    A symbol's own mean stays in: taking it out would tell of coming moves what all of them add up to.
    """
    scores = across(grid)
    if axis.slots is None:
        return scores
    return _shaped(axis.slots, scores, np.isfinite(grid), spread=False).astype(np.float32)


def _shaped(
    slots: Ints,
    scores: npt.NDArray[np.floating],
    present: npt.NDArray[np.bool_],
    *,
    spread: bool = True,
) -> npt.NDArray[np.float64]:
    """Take out what each time of day differs by from the mean of all, and its spread."""
    order = np.argsort(slots, kind="stable")
    starts = np.flatnonzero(np.diff(slots[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    made = np.empty(scores.shape)
    for own, there, to in zip(scores, present, made, strict=True):
        known, values = there[:, order], np.where(there, own, 0.0)[:, order].astype(np.float64)
        counts = np.maximum(np.add.reduceat(known, starts, axis=1, dtype=np.int64), 1)
        whole = values.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        shape = np.add.reduceat(values, starts, axis=1) / counts - whole
        values = np.where(known, values - np.repeat(shape, sizes, axis=1), 0.0)
        if spread:
            size = np.sqrt(np.add.reduceat(values**2, starts, axis=1) / counts)
            scale = np.where((counts >= _FEWEST_IN_SLOT) & (size > _FLAT), size, np.inf)
            values = values / np.repeat(scale, sizes, axis=1)
        to[:, order] = values
    return made
