"""What a label says of each coming bar: the columns that a probe compares every feature with.

A label that is a sum over the next h bars (a return, a count) holds the change of each single bar: y_t -
y_{t-1} = e_{t+h} - e_t, so e follows from its own value h bars before, up to a constant for each residue of
the bar's number, which its mean takes out. `bar_changes` finds e so, and says when a label is no sum: then e
would wander away like a random walk.

All columns are brought to mean 0 and variance 1; what is unknown is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

PAST_WINDOWS = 4
_MOST_STEPS = 16
_SHIFT_PLACES = 8
_SHORTEST_REACH = 16  # bars that parts reach at least, also beyond a shorter window
_FEWEST_IN_CHAIN = 8
_WILD = 30.0  # times the median size: a label that is wrong in itself
_CLIP = 4.0  # robust standard deviations
_WANDERS = 1.7  # variance of e over half the variance of its differences; 1 for independent e


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one target: label, news, size, then the groups below in this order."""

    horizon: int
    additive: bool
    steps: tuple[int, ...]  # bars ahead: e_{t+k}, or y_{t+k} - y_{t+k-1} of a label that is no sum
    parts: tuple[int, ...]  # sums over t+1 .. t+m of e, or of the price's changes; none without either
    shifts: tuple[int, ...]  # the label moved by 0 < s < h bars
    past: tuple[int, ...]  # windows over at t, as they are and by size

    LABEL = 0
    NEWS = 1
    SIZE = 2

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.past_size_columns.stop)

    @property
    def step_columns(self) -> slice:
        """Of single bars, or of increments."""
        return slice(3, 3 + len(self.steps))

    @property
    def part_columns(self) -> slice:
        """Of sums over the first coming bars."""
        return _after(self.step_columns, len(self.parts))

    @property
    def part_past_columns(self) -> slice:
        """Of sums over as many bars that ended at t."""
        return _after(self.part_columns, len(self.parts))

    @property
    def part_beyond_columns(self) -> slice:
        """Of sums over as many bars that follow a part."""
        return _after(self.part_past_columns, len(self.parts))

    @property
    def shift_columns(self) -> slice:
        """Of the label moved by less than its horizon."""
        return _after(self.part_beyond_columns, len(self.shifts))

    @property
    def past_columns(self) -> slice:
        """Of windows already over."""
        return _after(self.shift_columns, len(self.past))

    @property
    def past_size_columns(self) -> slice:
        """Of the size of windows already over."""
        return _after(self.past_columns, len(self.past))


def _after(group: slice, count: int) -> slice:
    return slice(group.stop, group.stop + count)


def layout_of(horizon: int, *, additive: bool, priced: bool = False) -> Layout:
    """Return the columns for a label over `horizon` bars, a sum or not; `priced` where the price is known."""
    reach = max(horizon, _SHORTEST_REACH)
    parts = {1, horizon, max(1, horizon // 2), *(2**power for power in range(reach.bit_length()))}
    shifts = {round(horizon * place / _SHIFT_PLACES) for place in range(1, _SHIFT_PLACES)}
    return Layout(
        horizon=horizon,
        additive=additive,
        steps=_spread_steps(reach if additive else horizon),
        parts=tuple(sorted(part for part in parts if part <= reach)) if additive or priced else (),
        shifts=tuple(sorted(shift for shift in shifts if 0 < shift < horizon)),
        past=tuple(horizon * place for place in range(1, PAST_WINDOWS + 1)),
    )


def _spread_steps(last: int) -> tuple[int, ...]:
    """Every step up to 16, then 16 spread by ratio from 1 to the last."""
    if last <= _MOST_STEPS:
        return tuple(range(1, last + 1))
    return tuple(sorted({round(step) for step in np.geomspace(1, last, _MOST_STEPS)}))


def bar_changes(label: Floats, horizon: int) -> Floats | None:
    """Return e with label_t = e_{t+1} + .. + e_{t+h}, (rows,), NaN where unknown; None for no such sum.

    Labels of simple returns are sums of their logarithms; whichever of the two fits better is taken.
    What jumps through a wrong label or a missing one starts anew there.
    """
    if horizon == 1:
        return np.asarray(shifted(label, -1), dtype=np.float64)
    known = label[np.isfinite(label)]
    forms = [label]
    if len(known) and known.min() > -0.9:
        forms.append(np.log1p(label))
    found = [_chained(form, horizon) for form in forms]
    fitting = [(ratio, place) for place, (ratio, _) in enumerate(found) if ratio <= _WANDERS]
    return found[min(fitting)[1]][1] if fitting else None


def _chained(label: Floats, horizon: int) -> tuple[float, Floats]:
    """How far e wanders (1 for independent e, much more for a label that is no sum), and e itself."""
    change = label - shifted(label, -1)  # e_{t+h} - e_t
    middle = float(np.nanmedian(np.abs(change))) if np.isfinite(change).any() else 0.0
    if middle <= 0.0:
        return np.inf, np.full(len(label), np.nan)
    change[np.abs(change) > _WILD * middle] = np.nan
    turns = -(-len(label) // horizon)
    table = np.full((turns + 1, horizon), np.nan)
    table[1:].reshape(-1)[: len(label)] = change  # what leads from row r - 1 to row r of each residue
    broken = np.isnan(table)
    chain = np.cumsum(broken, axis=0) + np.arange(horizon) * (turns + 2)
    level = np.cumsum(np.where(broken, 0.0, table), axis=0)
    of_chain = chain.reshape(-1)
    lengths = np.bincount(of_chain)
    means = np.bincount(of_chain, weights=level.reshape(-1)) / np.maximum(lengths, 1)
    bars = level.reshape(-1) - means[of_chain]
    bars[lengths[of_chain] < _FEWEST_IN_CHAIN] = np.nan
    bars = bars[: len(label)]
    known = bars[np.isfinite(bars)]
    if len(known) < _FEWEST_IN_CHAIN:
        return np.inf, bars
    spread = np.median(np.abs(known - np.median(known)))
    return float(2.0 * (spread / middle) ** 2), bars


def label_columns(ranked: Float32s, bars: Floats | None, layout: Layout, slots: Ints) -> Float32s:
    """Return the columns of one symbol, (columns, rows), NaN where unknown.

    `ranked` (rows,) are the label's rank scores with NaN, `bars` as bar_changes and clipped give them (of a
    label that is no sum: as price_changes does), `slots` the time of day or weekday of each row, whose mean
    is taken out of all but the label itself.
    """
    news = without_calendar(ranked, slots)
    size = without_calendar(np.abs(ranked), slots)
    columns = np.full((layout.width, len(ranked)), np.nan, dtype=np.float32)
    columns[layout.LABEL], columns[layout.NEWS], columns[layout.SIZE] = ranked, news, size
    for place, shift in zip(_places(layout.shift_columns), layout.shifts, strict=True):
        columns[place] = shifted(ranked, -shift)
    for place, size_place, back in zip(
        _places(layout.past_columns), _places(layout.past_size_columns), layout.past, strict=True
    ):
        columns[place], columns[size_place] = shifted(news, -back), shifted(size, -back)
    if not layout.additive:
        for place, step in zip(_places(layout.step_columns), layout.steps, strict=True):
            columns[place] = shifted(news, step) - shifted(news, step - 1)
    if bars is not None:
        _fill_bars(columns, without_calendar(bars, slots), layout)
    return standardised(columns)


def _fill_bars(columns: Float32s, bars: Float32s, layout: Layout) -> None:
    if layout.additive:
        for place, step in zip(_places(layout.step_columns), layout.steps, strict=True):
            columns[place] = shifted(bars, step)
    groups = (layout.part_past_columns, layout.part_columns, layout.part_beyond_columns)
    for place, part in enumerate(layout.parts):
        over = _sums(bars, part)
        for windows, group in enumerate(groups):
            columns[group.start + place] = shifted(over, windows * part)


def _sums(bars: npt.NDArray[np.floating], count: int) -> Float32s:
    """Sums of the last `count` bars, this one included; (rows,), NaN where one is missing."""
    total = np.concatenate(([0.0], np.cumsum(np.nan_to_num(bars), dtype=np.float64)))
    holes = np.concatenate(([0], np.cumsum(np.isnan(bars))))
    sums = np.full(len(bars), np.nan, dtype=np.float32)
    if len(bars) >= count:
        whole = holes[count:] == holes[:-count]
        sums[count - 1 :] = np.where(whole, total[count:] - total[:-count], np.nan)
    return sums


def price_changes(price: Floats) -> Floats:
    """Return the change of the price's logarithm in each bar, clipped; (rows,), NaN where unknown."""
    known = np.where(price > 0.0, price, np.nan)
    return clipped(np.log(known) - np.log(shifted(known, -1)))


def clipped(bars: Floats) -> Floats:
    """Return bars less their median in robust standard deviations, clipped at four; (rows,)."""
    known = bars[np.isfinite(bars)]
    if not len(known):
        return bars
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle))) or float(known.std())
    return np.clip((bars - middle) / spread, -_CLIP, _CLIP) if spread > 0.0 else bars * 0.0


def without_calendar(label: npt.NDArray[np.floating], slots: Ints) -> Float32s:
    """Return labels less the mean of their slot (not ranked again: ties would show the slot)."""
    known = np.isfinite(label)
    counts = np.bincount(slots[known], minlength=int(slots.max(initial=0)) + 1)
    sums = np.bincount(slots[known], weights=label[known], minlength=len(counts))
    return np.asarray(label - (sums / np.maximum(counts, 1))[slots], dtype=np.float32)


def standardised(columns: Float32s) -> Float32s:
    """Bring the finite values of each row to mean 0 and variance 1, in place; a constant becomes zeros."""
    known = np.isfinite(columns)
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    columns -= (np.where(known, columns, 0.0).sum(axis=1, keepdims=True, dtype=np.float64) / counts).astype(
        np.float32
    )
    squares = np.where(known, columns, 0.0)
    spread = np.sqrt(np.einsum("cr,cr->c", squares, squares, dtype=np.float64)[:, None] / counts)
    columns *= np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0).astype(np.float32)
    return columns


def shifted(values: npt.NDArray[np.floating], by: int) -> npt.NDArray[np.floating]:
    """Return the value `by` rows later (earlier when negative), (rows,), NaN beyond the ends."""
    moved = np.full(len(values), np.nan, dtype=values.dtype)
    if abs(by) >= len(values):
        return moved
    if by > 0:
        moved[: len(values) - by] = values[by:]
    elif by < 0:
        moved[-by:] = values[:by]
    else:
        moved[:] = values
    return moved


def _places(columns: slice) -> Sequence[int]:
    return range(columns.start, columns.stop)
