"""Does a feature know the future? What each probe measures; the verdict is given in leakage.

All correlations are of ranks taken within each symbol and pooled over symbols, so levels do not matter. Every
feature is probed as it is and folded around its median (|rank - 1/2|), so that a feature that knows the size
but not the sign of what comes is found as well.

What the calendar alone says (the mean of each time of day, or of each weekday on daily bars) is taken out of
the target first: everybody knows the time, so a clock that matches a daily pattern is no leak.
Future increment: y_{t+k} - y_{t+k-1} for k = 1..h compares two windows that both begin after t; what is
known at t, however persistent, can hardly tell which is larger. A feature that holds (a part of) the coming
window can: the part that leaves the window at t+k is in it.
Correlation: with the coming window, against the best correlation with windows that were over at t.
Volatility features match the past at least as well as the future; a leak matches the future better.
Ratio spike: the share of rows where |x / y| is one and the same number, beyond the same share for past
labels: a partial copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from planner.rounding import rounded
from planner.shift_null import time_axis

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_DAY_NS = 86_400 * 10**9
_MOST_LAGS = 16
_PAST_WINDOWS = 4
_EXCESS_WEIGHT = 3.0  # the default lines for a correlation and for its excess are as 3 to 1
_RATIO_BINS_PER_UNIT = 2_000.0
_RATIO_ROWS = 20_000
_FEWEST_DISTINCT = 50
_FEWEST_OVERLAP = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What the probes measured for one (target, feature)."""

    copy_correlation: float  # |rank correlation| with the coming window, unfolded
    increment: float  # largest |correlation| with a future increment
    increment_bars: int
    correlation: float  # largest |correlation| with the coming window, folded or not
    past_correlation: float  # of the same form of the feature with windows already over, largest
    ratio_spike: float
    symbol: str | None  # None: all together


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """All measurements of one target: of all symbols together, and of each symbol alone."""

    target: str
    timestamps: int  # distinct timestamps behind the pooled numbers
    pooled: Mapping[str, Probed]
    alone: Mapping[str, tuple[Probed, ...]]
    timestamps_alone: Mapping[str, int]


def probe_target(
    panel: Panel, column: Column, features: Sequence[str], ranked: "RankedFeatures", *, until: int
) -> Probes:
    """Measure every feature against one target on what is known before time code `until`.

    Labels whose window reaches `until` are not used.
    """
    horizon = column.horizon_bars or 1
    lags = _lags(horizon)
    past = [horizon + step * max(1, horizon) for step in range(_PAST_WINDOWS)]
    values = panel.values(column.name).astype(np.float64)
    values[panel.label_end_codes(horizon) >= until] = np.nan
    tables: dict[str, _Table] = {}
    for symbol in panel.symbols:
        own = ranked.rows[symbol]
        label = values[own]
        if np.isfinite(label).sum() >= _FEWEST_OVERLAP and np.nanmax(label) > np.nanmin(label):
            tables[symbol] = _symbol_table(ranked, symbol, label, lags, past)
    pooled = _pooled(list(tables.values()))
    spikes = _ratio_spikes(panel, column, values, features, ranked, horizon)
    codes = [
        panel.time_codes[ranked.rows[symbol]][np.isfinite(values[ranked.rows[symbol]])] for symbol in tables
    ]
    together = {} if pooled is None else _read(pooled, features, lags, past, spikes, None)
    alone = {
        symbol: _read(table, features, lags, past, np.zeros(len(features)), symbol)
        for symbol, table in tables.items()
    }
    return Probes(
        target=column.name,
        timestamps=len(np.unique(np.concatenate(codes))) if codes else 0,
        pooled=together,
        alone={name: tuple(alone[symbol][name] for symbol in sorted(alone)) for name in features},
        timestamps_alone={symbol: len(found) for symbol, found in zip(tables, codes, strict=True)},
    )


class RankedFeatures:
    """Features ranked within each symbol, once for all targets: plain and folded, missing values 0."""

    def __init__(self, panel: Panel, features: Sequence[str], *, until: int) -> None:
        """Rank the rows before `until`; constant columns become zeros."""
        self.rows: dict[str, Ints] = {}
        self.scores: dict[str, Float32s] = {}  # symbol -> (rows, 2 x features)
        self.present: dict[str, Float32s] = {}
        self.slots: dict[str, Ints] = {}  # symbol -> (rows,) time of day or weekday
        slots = calendar_slots(panel)
        for symbol in panel.symbols:
            own = panel.rows_of(symbol)
            rows = np.arange(own.start, own.stop, dtype=np.int64)[panel.time_codes[own] < until]
            raw = panel.matrix(features, rows)
            plain = np.stack([rank_scores(raw[:, place]) for place in range(len(features))], axis=1)
            folded = np.stack([rank_scores(_fold(plain[:, place])) for place in range(len(features))], axis=1)
            self.rows[symbol] = rows
            self.slots[symbol] = slots[panel.time_codes[rows]]
            self.scores[symbol] = np.nan_to_num(np.concatenate([plain, folded], axis=1)).astype(np.float32)
            self.present[symbol] = np.tile(np.isfinite(raw), (1, 2)).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Sums of products (2 x features, label | news | lags | past windows) and the rows behind each."""

    values: Floats
    counts: Floats


def rank_scores(values: npt.NDArray[np.floating]) -> Floats:
    """Return average ranks brought to mean 0 and variance 1 over the finite entries; others stay NaN."""
    scores = np.full(len(values), np.nan)
    present = np.flatnonzero(np.isfinite(values))
    if not len(present):
        return scores
    _, place, counts = np.unique(values[present], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place.reshape(-1)]
    spread = ranks.std()
    scores[present] = (ranks - ranks.mean()) / spread if spread > 0 else 0.0
    return scores


def calendar_slots(panel: Panel) -> Ints:
    """Return the slot of each time code: its place in the session, or the weekday from daily bars on."""
    axis = time_axis(panel)
    if axis.step > 1:
        return np.asarray(axis.places % axis.step)
    return np.asarray((panel.timestamps // _DAY_NS) % 7)


def _without_calendar(label: Floats, slots: Ints) -> Floats:
    """Take the mean of its slot out of each label (not ranked again: ties would show the slot)."""
    known = np.isfinite(label)
    counts = np.bincount(slots[known], minlength=int(slots.max(initial=0)) + 1)
    sums = np.bincount(slots[known], weights=label[known], minlength=len(counts))
    return np.asarray(label - (sums / np.maximum(counts, 1))[slots])


def _standardised(values: Floats) -> Floats:
    """Bring the finite values to mean 0 and variance 1; a constant becomes zeros."""
    present = values[np.isfinite(values)]
    spread = float(present.std()) if len(present) else 0.0
    return (values - present.mean()) / spread if spread > 1e-9 else values * 0.0


def _fold(scores: Floats) -> Floats:
    return np.abs(scores)


def _lags(horizon: int) -> list[int]:
    """Steps k of the increments: every one up to 16, then 16 spread by ratio from 1 to the horizon."""
    if horizon <= _MOST_LAGS:
        return list(range(1, horizon + 1))
    return sorted({round(step) for step in np.geomspace(1, horizon, _MOST_LAGS)})


def _shifted(values: Floats, by: int) -> Floats:
    """The value `by` rows later (earlier when negative), NaN beyond the ends."""
    moved = np.full(len(values), np.nan)
    if abs(by) >= len(values):
        return moved
    if by >= 0:
        moved[: len(values) - by] = values[by:]
    else:
        moved[-by:] = values[:by]
    return moved


def _symbol_table(
    ranked: RankedFeatures, symbol: str, label: Floats, lags: Sequence[int], past: Sequence[int]
) -> _Table:
    own = rank_scores(label)
    news = _without_calendar(own, ranked.slots[symbol])
    columns = [own, news]
    columns += [_shifted(news, lag) - _shifted(news, lag - 1) for lag in lags]
    columns += [_shifted(news, -back) for back in past]
    scored = np.stack([_standardised(column) for column in columns], axis=1)
    known = np.isfinite(scored).astype(np.float32)
    products = ranked.scores[symbol].T @ np.nan_to_num(scored).astype(np.float32)
    counts = ranked.present[symbol].T @ known
    return _Table(values=products.astype(np.float64), counts=counts.astype(np.float64))


def _pooled(tables: Sequence[_Table]) -> _Table | None:
    if not tables:
        return None
    return _Table(
        values=np.sum([table.values for table in tables], axis=0),
        counts=np.sum([table.counts for table in tables], axis=0),
    )


def _read(
    table: _Table,
    features: Sequence[str],
    lags: Sequence[int],
    past: Sequence[int],
    spikes: Floats,
    symbol: str | None,
) -> dict[str, Probed]:
    enough = table.counts >= _FEWEST_OVERLAP
    found = np.clip(
        np.divide(table.values, table.counts, out=np.zeros_like(table.values), where=enough), -1, 1
    )
    size = np.abs(found)
    count = len(features)
    stop = 2 + len(lags)
    probed = {}
    for place, name in enumerate(features):
        forms = [place, place + count]
        increments = size[forms, 2:stop].max(axis=0)
        # The suspicious form is the one that has both: a large match, and one larger than with the past.
        ahead, behind = size[forms, 1], size[forms, stop : stop + len(past)].max(axis=1)
        worst = int(np.minimum(ahead, _EXCESS_WEIGHT * (ahead - behind)).argmax())
        probed[name] = Probed(
            copy_correlation=rounded(size[place, 0]),
            increment=rounded(increments.max()),
            increment_bars=lags[int(increments.argmax())],
            correlation=rounded(ahead[worst]),
            past_correlation=rounded(behind[worst]),
            ratio_spike=rounded(spikes[place]),
            symbol=symbol,
        )
    return probed


def _ratio_spikes(
    panel: Panel,
    column: Column,
    values: Floats,
    features: Sequence[str],
    ranked: RankedFeatures,
    horizon: int,
) -> Floats:
    """Share of the commonest |x / y| with the coming label, less that with the last known; (features,)."""
    rows = np.concatenate([ranked.rows[symbol] for symbol in panel.symbols])
    label = values[rows]
    known = np.concatenate([_shifted(values[ranked.rows[symbol]], -horizon) for symbol in panel.symbols])
    every = max(1, len(rows) // _RATIO_ROWS)
    rows, label, known = rows[::every], label[::every], known[::every]
    spikes = np.zeros(len(features))
    if column.task != "regression" or len(np.unique(label[np.isfinite(label)])) < _FEWEST_DISTINCT:
        return spikes
    for place, name in enumerate(features):
        feature = panel.values(name)[rows].astype(np.float64)
        if len(np.unique(feature[np.isfinite(feature)])) >= _FEWEST_DISTINCT:
            spikes[place] = max(0.0, _spike(feature, label) - _spike(feature, known))
    return spikes


def _spike(feature: Floats, label: Floats) -> float:
    usable = np.isfinite(feature) & np.isfinite(label) & (feature != 0.0) & (label != 0.0)
    if usable.sum() < _FEWEST_OVERLAP:
        return 0.0
    ratio = np.log(np.abs(feature[usable] / label[usable])) * _RATIO_BINS_PER_UNIT
    _, counts = np.unique(np.round(ratio).astype(np.int64), return_counts=True)
    return float(counts.max()) / float(usable.sum())
