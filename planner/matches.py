"""How well each feature matches each column of each target: sums of products, and what is read from them.

A symbol's features (as they are and folded) times the columns of all targets is one matrix product for each
span of time. It is read for the symbol at once, and added to what is read for all symbols together in the
end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from planner.windows import Layout

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Measures = dict[str, Floats]

_FEWEST_OVERLAP = 30
_LAGS_ROWS = 4_096  # of each symbol, for the dependence in time of the features
_EXCESS_WEIGHT = 1.3  # of the forms of a match, that with the largest min(match, 1.3 x excess) is told
_LEAST_SPREAD = 0.05  # of a symbol's whole: what varies less in a span says nothing there
_REVERSAL = 1.5  # times as much of the part just over, with the opposite sign
_SURE = 5.0  # standard errors: of the parts, the one furthest beyond its own noise is told


@dataclass(frozen=True, slots=True)
class Matches:
    """Correlations times rows (spans, 2 x features, columns), and the rows (spans, features, columns).

    Of one symbol, or added over several: correlations are within a symbol and a span, whatever the levels
    between them, and are averaged by rows.
    """

    products: Floats
    counts: Floats

    def __add__(self, other: "Matches") -> "Matches":
        return Matches(self.products + other.products, self.counts + other.counts)

    def of(self, columns: slice) -> "Matches":
        """The columns of one target."""
        return Matches(self.products[:, :, columns], self.counts[:, :, columns])

    def rows(self, layout: Layout, span: int | None = None) -> Floats:
        """Rows with feature and label of one span or all, (features,), of the columns of one target."""
        counts = self.counts.sum(axis=0) if span is None else self.counts[span]
        return np.asarray(counts[:, layout.LABEL])

    def correlations(self, span: int | None = None) -> Floats:
        """Correlations of one span or all, (2 x features, columns); 0 where fewer than 30 rows."""
        products = self.products.sum(axis=0) if span is None else self.products[span]
        counts = self.counts.sum(axis=0) if span is None else self.counts[span]
        counts = np.tile(counts, (2, 1))
        found = np.divide(products, counts, out=np.zeros(products.shape), where=counts >= _FEWEST_OVERLAP)
        return np.asarray(np.clip(found, -1.0, 1.0))


def match(
    scores: Float32s, present: npt.NDArray[np.bool_], columns: Float32s, cuts: Sequence[int]
) -> Matches:
    """Match one symbol's features with its columns between each two row numbers of `cuts`.

    `scores` (features, rows) with 0 where not `present`, `columns` (columns, rows) with NaN where unknown.
    """
    both = np.concatenate([scores, np.abs(scores)])
    known = np.isfinite(columns)
    filled = np.where(known, columns, np.float32(0.0))
    mask, whole = known.astype(np.float32), present.all(axis=1)
    products = np.zeros((len(cuts) - 1, len(both), len(columns)))
    counts = np.zeros((len(cuts) - 1, len(scores), len(columns)))
    for span, (start, stop) in enumerate(pairwise(cuts)):
        own = slice(start, stop)
        there = present[:, own]
        counts[span, whole] = mask[:, own].sum(axis=1)
        counts[span, ~whole] = there[~whole].astype(np.float32) @ mask[:, own].T
        spread = _centred(both[:, own], np.concatenate([there, there]))
        column_spread = _centred(filled[:, own], known[:, own])
        varied = (spread > _LEAST_SPREAD)[:, None] & (column_spread > _LEAST_SPREAD)
        sums = both[:, own] @ filled[:, own].T
        np.divide(sums, np.outer(spread, column_spread), out=products[span], where=varied)
        counts[span] *= varied[: len(scores)]
    return Matches(products, counts)


def _centred(values: Float32s, present: npt.NDArray[np.bool_]) -> Floats:
    """Take the mean out of each line, in place, missing values staying 0; return the standard deviations."""
    rows = np.maximum(present.sum(axis=1), 1)
    mean = values.sum(axis=1, dtype=np.float64) / rows
    values -= mean[:, None].astype(np.float32)
    values[~present] = 0.0
    return np.asarray(np.sqrt(np.einsum("fr,fr->f", values, values).astype(np.float64) / rows))


def lag_products(scores: Float32s, lags: Sequence[int]) -> Floats:
    """Mean products of each feature with itself `lag` rows later, (features, lags)."""
    few = scores[:, :_LAGS_ROWS]
    found = np.zeros((len(scores), len(lags)))
    for place, lag in enumerate(lags):
        if few.shape[1] >= lag + _FEWEST_OVERLAP:
            found[:, place] = np.einsum("fr,fr->f", few[:, lag:], few[:, :-lag]) / (few.shape[1] - lag)
    return found


def widening(dependence: Floats, lags: Sequence[int], window: int) -> Floats:
    """How many times fewer rows count as independent against a sum over `window` bars, (features,).

    1 + 2 sum over k of r_x(k) r_y(k), with r_y(k) = 1 - k / window of overlapping sums and r_x between the
    measured lags on straight lines (Bartlett 1935).
    """
    steps = np.arange(1, window)
    if not len(steps):
        return np.ones(len(dependence))
    weights = np.zeros((len(lags) + 1, len(steps)))
    grid = np.array([0, *lags])
    right = np.minimum(np.searchsorted(grid, steps, side="left"), len(lags))
    share = np.clip((steps - grid[right - 1]) / (grid[right] - grid[right - 1]), 0.0, 1.0)
    weights[right, np.arange(len(steps))] = share
    weights[right - 1, np.arange(len(steps))] += 1.0 - share
    known = np.concatenate([np.ones((len(dependence), 1)), np.maximum(dependence, 0.0)], axis=1)
    return 1.0 + 2.0 * (known @ weights) @ (1.0 - steps / window)


@dataclass(frozen=True, slots=True)
class Footing:
    """What the noise of a place depends on: its timestamps, and the features' dependence in time."""

    timestamps: int
    dependence: Floats  # (features, lags)
    lags: tuple[int, ...]

    def rows(self, window: int) -> Floats:
        """Independent rows against sums over `window` bars, (features,)."""
        return self.timestamps / widening(self.dependence, self.lags, window)


def read(found: Floats, rows: Floats, layout: Layout, footing: Footing) -> Measures:
    """Return the measures of one target at one place, (features,) each.

    `found` are the correlations of all its columns, `rows` (features,) the rows with both feature and label.
    """
    features = len(found) // 2
    size = np.abs(found)
    plain = size[:features]
    steps = np.maximum(plain, size[features:])[:, layout.step_columns]
    if layout.additive:
        steps[:, 0] = np.where(_reversed(found, layout)[:, 0], 0.0, steps[:, 0])
    rest = np.median(steps, axis=1) if layout.additive else np.zeros(features)
    ahead, behind = _forms(size, layout)
    worst = _worst(ahead, behind)
    every = np.arange(features)
    return {
        "rows": rows,
        "copy": plain[:, layout.LABEL],
        "step": steps.max(axis=1),
        "step_rest": rest,
        "step_bars": np.asarray(layout.steps, dtype=np.float64)[steps.argmax(axis=1)],
        "correlation": ahead[worst, every],
        "past_correlation": behind[worst, every],
        "window_rows": footing.rows(layout.horizon),
        **_read_parts(found, layout, footing),
    }


def near_labels(found: Floats, layout: Layout) -> Floats:
    """Return how much each feature is like the label moved into the past, at its best; (features,)."""
    plain = np.abs(found[: len(found) // 2])
    looked = np.concatenate([plain[:, layout.shift_columns], plain[:, layout.past_columns]], axis=1)
    return np.asarray(looked.max(axis=1))


def out_of_sample(matches: Matches, layout: Layout) -> Floats:
    """Return each feature's correlation with the coming window, signed by the spans before, (features,).

    Of the same form as `correlation`. The first span only gives signs.
    """
    signed, weights = [], []
    for span in range(1, len(matches.products)):
        before = Matches(matches.products[:span], matches.counts[:span]).correlations()
        now = matches.correlations(span)
        signed.append(_signed_forms(np.sign(before) * now, layout))
        weights.append(float(matches.counts[span, :, layout.NEWS].max(initial=0.0)))
    scores = np.average(signed, axis=0, weights=weights if any(weights) else None)
    features = scores.shape[1]
    ahead, behind = _forms(np.abs(matches.correlations()), layout)
    return np.asarray(np.maximum(scores[_worst(ahead, behind), np.arange(features)], 0.0))


def _reversed(found: Floats, layout: Layout) -> Bools:
    """Where a part is matched only as the reversal of the part just over, (features, parts).

    The last change of a quoted price is taken back by the next one (Roll 1984): to know the one, which is
    over, is to know something of the other, with the opposite sign. Where that is so of single bars, longer
    parts that have it half as clearly are such reversals as well.
    """
    features = len(found) // 2
    ahead, over = found[:features, layout.part_columns], found[:features, layout.part_past_columns]
    opposite = -over * np.sign(ahead)
    single = opposite[:, :1] > _REVERSAL * np.abs(ahead[:, :1])  # the first part is one bar
    return np.asarray(single & (opposite > 0.5 * np.abs(ahead)))


def _read_parts(found: Floats, layout: Layout, footing: Footing) -> Measures:
    """Return the match of the sum of first bars that stands out most from the sum that follows it.

    What is persistent knows the bars that follow about as well; a leak's knowledge ends somewhere.
    """
    names = ("part", "part_past", "part_beyond", "part_bars", "part_rows")
    features = len(found) // 2
    if not layout.parts:
        return {name: np.zeros(features) for name in names}
    plain = np.abs(found[:features])
    over = plain[:, layout.part_past_columns]
    parts = np.where(_reversed(found, layout), 0.0, plain[:, layout.part_columns])
    beyond = plain[:, layout.part_beyond_columns]
    rows = np.stack([footing.rows(part) for part in layout.parts], axis=1)
    chosen = (parts - beyond - _SURE / np.sqrt(np.maximum(rows, 1.0))).argmax(axis=1)
    every = np.arange(features)
    values = (parts, over, beyond, np.tile(np.asarray(layout.parts, dtype=np.float64), (features, 1)), rows)
    return {name: of_parts[every, chosen] for name, of_parts in zip(names, values, strict=True)}


def _forms(size: Floats, layout: Layout) -> tuple[Floats, Floats]:
    """Matches with the coming window, as it is and by size, and the best with windows over; (4, features)."""
    features = len(size) // 2
    ahead = _signed_forms(size, layout)
    behind = [
        size[rows, columns].max(axis=1)
        for columns in (layout.past_columns, layout.past_size_columns)
        for rows in (slice(0, features), slice(features, None))
    ]
    return ahead, np.stack(behind)


def _signed_forms(found: Floats, layout: Layout) -> Floats:
    features = len(found) // 2
    halves = (found[:features], found[features:])
    return np.stack([half[:, column] for column in (layout.NEWS, layout.SIZE) for half in halves])


def _worst(ahead: Floats, behind: Floats) -> Ints:
    """The suspicious form is the one that has both: a large match, and one larger than with the past."""
    return np.asarray(np.minimum(ahead, _EXCESS_WEIGHT * (ahead - behind)).argmax(axis=0))


def merged(places: Sequence[Mapping[str, Floats]]) -> Measures:
    """Stack the measures of all places, (places, features) each."""
    return {name: np.stack([place[name] for place in places]) for name in places[0]}
