"""Does a feature know the future? What each probe measures; the verdict is given in leakage.

All correlations are of ranks taken within each symbol and pooled over symbols, so levels do not matter and a
monotone copy is a copy. They are measured over all symbols together, over each quarter of the time, and for
each symbol alone. What the calendar alone says (the mean of each time of day, or of each weekday on daily
bars) is taken out of the target first: everybody knows the time, so a clock that matches a daily pattern is
no leak.

- Copy: with the label itself. Overlap: with the label moved by less than its horizon.

- Steps: with each single coming bar of a label that is a sum (see windows), beyond most other bars; else with
  y_{t+k} - y_{t+k-1}, two windows that both begin after t: what is known at t, however persistent, can hardly
  tell which is larger. A feature that holds (a part of) the coming window can: what leaves the window at t+k
  is in it.

- Parts: with sums of the first coming bars (of the price, for labels that are no sums), beyond the sums of as
many bars that follow them. What persists knows those about as well; a leak's knowledge ends somewhere.

- Correlation: with the coming window, its sign and its size, beyond the best correlation with windows that
  were over at t. Volatility features match the past at least as well as the future; a leak does not.

- Out of sample: the same in each quarter of the time, with the sign that the quarters before it had.

- Spikes: copies in some of the rows (see spikes).

A feature is compared as it is and folded around its median (|rank - 1/2|), so that one that knows the size
but not the sign of what comes is found as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from panel.ranks import rank_rows
from planner.matches import (
    Footing,
    Matches,
    Measures,
    lag_products,
    match,
    merged,
    near_labels,
    out_of_sample,
    read,
)
from planner.overlaps import overlaps_of
from planner.shift_null import time_axis
from planner.spikes import Logs, Sample, calendar_share, logs_of, sample_of, spikes_of
from planner.windows import Layout, bar_changes, clipped, label_columns, layout_of, price_changes, shifted

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SPANS = 4
_PRICES = ("adj_close", "adjclose", "close")
_DAY_NS = 86_400 * 10**9
_MOST_CELLS = 10_000_000  # products held at a time: 80 MB
_USUAL_WIDTH = 60  # columns of a target


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something was measured: all rows, a span of time, or one symbol."""

    symbol: str | None
    since: str | None  # of a span, ISO date or time
    until: str | None
    timestamps: int  # distinct timestamps with a label

    @property
    def whole(self) -> bool:
        """Whether it is all rows."""
        return self.symbol is None and self.since is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """All measurements of one target.

    `measures` are (places, features) float64: rows, copy, step, step_rest, step_bars, part, part_past,
    part_bars, part_rows, correlation, past_correlation, window_rows; of the first place alone, 0 elsewhere:
    overlap, overlap_bars, ratio_spike, slope_spike, out_of_sample, calendar. A measure without enough rows is
    0; part_rows and window_rows are the independent rows behind a part and behind a whole window.
    """

    target: str
    horizon_bars: int
    additive: bool  # the label is a sum of single bars
    columns: int  # that each feature was compared with
    features: tuple[str, ...]
    places: tuple[Place, ...]
    measures: Mapping[str, Floats]


def probe_targets(
    panel: Panel, columns: Sequence[Column], features: Sequence[str], *, until: int
) -> Iterator[Probes]:
    """Measure every feature against every target on what is known before time code `until`, in order.

    Labels whose window reaches `until` are not used. Each symbol is one matrix product of all features and
    all columns of all targets (of a part of the targets, where there are very many).
    """
    names = tuple(features)
    if not names or not columns:
        return
    rows = _rows_before(panel, until)
    sample = sample_of(rows)
    logs = [logs_of(panel.values(name), sample) for name in names]
    calendars = _calendars(panel)
    calendar = np.array([calendar_share(panel, panel.values(name), sample, calendars) for name in names])
    at_once = max(1, _MOST_CELLS // (SPANS * 2 * len(names) * _USUAL_WIDTH))
    for start in range(0, len(columns), at_once):
        some = columns[start : start + at_once]
        ground = _ground(panel, some, rows, until)
        for number, found in enumerate(_matched(ground, names)):
            layout, label = ground.layouts[number], ground.labels[number]
            of_all = {
                **overlaps_of(panel, label, names, found.near, ground.rows, layout),
                **_spikes(ground, some[number], label, logs, sample),
                "out_of_sample": found.out_of_sample,
                "calendar": calendar,
            }
            yield Probes(
                target=some[number].name,
                horizon_bars=layout.horizon,
                additive=layout.additive,
                columns=layout.width,
                features=names,
                places=ground.places[number],
                measures=_measures(found, of_all),
            )


def _measures(found: "_Matched", of_all: Mapping[str, Floats]) -> dict[str, Floats]:
    """All measures by name, those of all rows in the first place alone."""
    measures = merged(found.places)
    for name, values in of_all.items():
        measures[name] = np.zeros(measures["copy"].shape)
        measures[name][0] = values
    return {name: np.round(values, 6) for name, values in sorted(measures.items())}


@dataclass(frozen=True, slots=True)
class _Matched:
    """What the matches of one target say: its measures by place, and what is known of all rows together."""

    places: Sequence[Measures]
    near: Floats
    out_of_sample: Floats


def _matched(ground: "_Ground", names: Sequence[str]) -> list[_Matched]:
    """Match every symbol, read it, and read all together and each span in the end."""
    stops = np.cumsum([0, *(layout.width for layout in ground.layouts)])
    own = [slice(int(start), int(stop)) for start, stop in pairwise(stops)]
    lags = _lags(max(16, *(layout.horizon for layout in ground.layouts)))
    together = Matches(
        np.zeros((SPANS, 2 * len(names), int(stops[-1]))), np.zeros((SPANS, len(names), int(stops[-1])))
    )
    dependence, alone = np.zeros((len(names), len(lags))), []
    for symbol, rows in enumerate(ground.rows):
        raw = np.stack([ground.panel.values(name)[rows] for name in names])  # (features, rows) float32
        scores = rank_rows(raw)
        columns = _symbol_columns(ground, symbol)
        cuts = np.searchsorted(ground.panel.time_codes[rows], ground.spans).tolist()
        matches = match(scores, np.isfinite(raw), columns, cuts)
        lagged = lag_products(scores, lags)
        dependence += lagged * len(rows)
        together = together + matches
        for number, layout in enumerate(ground.layouts):
            place = Footing(ground.places[number][1 + SPANS + symbol].timestamps, lagged, lags)
            mine = matches.of(own[number])
            alone.append(read(mine.correlations(), mine.rows(layout), layout, place))
    dependence /= max(1, sum(len(rows) for rows in ground.rows))
    made = []
    for number, layout in enumerate(ground.layouts):
        matches = together.of(own[number])
        all_rows = matches.correlations()
        shared = [
            read(
                matches.correlations(span),
                matches.rows(layout, span),
                layout,
                Footing(place.timestamps, dependence, lags),
            )
            for span, place in zip((None, *range(SPANS)), ground.places[number], strict=False)
        ]
        made.append(
            _Matched(
                places=[*shared, *alone[number :: len(ground.layouts)]],
                near=near_labels(all_rows, layout),
                out_of_sample=out_of_sample(matches, layout),
            )
        )
    return made


def _symbol_columns(ground: "_Ground", symbol: int) -> Float32s:
    """The columns of all targets at one symbol's rows, (columns, rows), NaN where unknown."""
    rows = ground.rows[symbol]
    raw = np.stack([label[rows] for label in ground.labels])
    ranked = np.where(np.isfinite(raw), rank_rows(raw), np.float32(np.nan))
    slots = ground.slots[ground.panel.time_codes[rows]]
    return np.concatenate(
        [
            label_columns(own, bars[symbol], layout, slots)
            for own, bars, layout in zip(ranked, ground.bars, ground.layouts, strict=True)
        ]
    )


def _lags(longest: int) -> tuple[int, ...]:
    return tuple(2**power for power in range((longest - 1).bit_length() + 1))


def _spikes(
    ground: "_Ground", column: Column, label: Float32s, logs: Sequence[Logs | None], sample: Sample
) -> dict[str, Floats]:
    """Copies in some of the rows, (features,) each; nothing for classes."""
    found = np.zeros((2, len(logs)))
    own = logs_of(label, sample) if column.task == "regression" else None
    if own is not None:
        over = np.full(len(label), np.nan, dtype=np.float32)
        for rows in ground.rows:
            over[rows] = shifted(label[rows], -(column.horizon_bars or 1))
        known = logs_of(over, sample)
        for place, feature in enumerate(logs):
            if feature is not None:
                found[:, place] = spikes_of(feature, own, known)
    return {"ratio_spike": found[0], "slope_spike": found[1]}


def stored_probes(probes: Probes) -> dict[str, npt.NDArray[Any]]:
    """Return all of it as named arrays without objects, for the cache."""
    places = probes.places
    return {
        **{f"measure {name}": values for name, values in probes.measures.items()},
        "target": np.array([probes.target]),
        "numbers": np.array([probes.horizon_bars, probes.additive, probes.columns]),
        "features": np.array(probes.features),
        "timestamps": np.array([place.timestamps for place in places]),
        **{
            name: np.array([getattr(place, name) or "" for place in places])
            for name in ("symbol", "since", "until")
        },
    }


def probes_from(arrays: Mapping[str, npt.NDArray[Any]]) -> Probes:
    """Return the probes that `stored_probes` made the arrays of.

    Raises:
        KeyError: an array is missing.
    """
    words = zip(*(arrays[name].tolist() for name in ("symbol", "since", "until")), strict=True)
    horizon, additive, columns = arrays["numbers"].tolist()
    return Probes(
        target=str(arrays["target"][0]),
        horizon_bars=horizon,
        additive=bool(additive),
        columns=columns,
        features=tuple(arrays["features"].tolist()),
        places=tuple(
            Place(symbol=symbol or None, since=since or None, until=until or None, timestamps=stamps)
            for (symbol, since, until), stamps in zip(words, arrays["timestamps"].tolist(), strict=True)
        ),
        measures={
            name.removeprefix("measure "): values
            for name, values in arrays.items()
            if name.startswith("measure ")
        },
    )


def calendar_slots(panel: Panel) -> Ints:
    """Return the slot of each time code: its place in the session, or the weekday from daily bars on."""
    axis = time_axis(panel)
    if axis.step > 1:
        return np.asarray(axis.places % axis.step)
    return np.asarray((panel.timestamps // _DAY_NS) % 7)


def _calendars(panel: Panel) -> tuple[Ints, ...]:
    """Every calendar that a feature may be a function of: (timestamps,) slots each."""
    days = panel.timestamps // _DAY_NS
    dates = panel.timestamps.astype("datetime64[ns]").astype("datetime64[M]")
    day_of_month = days - dates.astype("datetime64[D]").astype(np.int64)
    clock = panel.timestamps % _DAY_NS // max(1, min(panel.interval_ns, _DAY_NS))
    return calendar_slots(panel), days % 7, dates.astype(np.int64) % 12, day_of_month, clock


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all probes of a panel stand on: rows and spans of symbols, labels, their single bars, columns."""

    panel: Panel
    rows: tuple[Ints, ...]  # per symbol, before `until`
    spans: Ints  # (SPANS + 1,) time codes
    slots: Ints  # (timestamps,)
    labels: tuple[Float32s, ...]  # per target, (rows of the panel,), NaN where unknown
    bars: tuple[tuple[Floats | None, ...], ...]  # per target and symbol
    layouts: tuple[Layout, ...]
    places: tuple[tuple[Place, ...], ...]


def price_column(panel: Panel) -> str | None:
    """Return the column of closing prices that the panel holds, adjusted ones first; None without any."""
    stored = {column.name.lower().replace(" ", "_"): column.name for column in panel.columns}
    found = [stored[name] for name in _PRICES if name in stored]
    return next((name for name in found if name in panel.digests), None)


def _price_bars(panel: Panel, rows: Sequence[Ints]) -> tuple[Floats, ...] | None:
    """The changes of the price of each symbol, (rows,) each."""
    name = price_column(panel)
    if name is None:
        return None
    return tuple(price_changes(panel.values(name)[own].astype(np.float64)) for own in rows)


def _rows_before(panel: Panel, until: int) -> tuple[Ints, ...]:
    """Each symbol's rows before a time code."""
    found = []
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        before = int(np.searchsorted(panel.time_codes[own], until))
        found.append(np.arange(own.start, own.start + before, dtype=np.int64))
    return tuple(found)


def _ground(panel: Panel, columns: Sequence[Column], rows: tuple[Ints, ...], until: int) -> _Ground:
    price = _price_bars(panel, rows)
    spans = np.linspace(0, until, SPANS + 1).round().astype(np.int64)
    labels, bars, layouts, places = [], [], [], []
    for column in columns:
        horizon = column.horizon_bars or 1
        known = panel.label_end_codes(horizon) < until
        label = np.where(known, panel.values(column.name), np.float32(np.nan))
        changes = [bar_changes(label[own].astype(np.float64), horizon) for own in rows]
        summed = sum(len(change) for change in changes if change is not None)
        additive = 2 * summed > sum(len(own) for own in rows)
        layout = layout_of(horizon, additive=additive, priced=price is not None)
        labels.append(label)
        own_bars = tuple(None if change is None else clipped(change) for change in changes)
        bars.append(own_bars if additive or price is None else price)
        layouts.append(layout)
        places.append(_places(panel, label, rows, spans))
    return _Ground(
        panel,
        rows,
        spans,
        calendar_slots(panel),
        tuple(labels),
        tuple(bars),
        tuple(layouts),
        tuple(places),
    )


def _places(panel: Panel, label: Float32s, rows: Sequence[Ints], spans: Ints) -> tuple[Place, ...]:
    codes = [panel.time_codes[own][np.isfinite(label[own])] for own in rows]
    together = np.unique(np.concatenate(codes)) if codes else np.empty(0, dtype=np.int64)
    counts = np.diff(np.searchsorted(together, spans))
    stamps = np.datetime_as_string(panel.timestamps.astype("datetime64[ns]"), unit="D")
    found = [Place(symbol=None, since=None, until=None, timestamps=len(together))]
    for start, stop, count in zip(spans[:-1], spans[1:], counts, strict=True):
        last = max(int(start), int(stop) - 1)
        found.append(
            Place(symbol=None, since=str(stamps[start]), until=str(stamps[last]), timestamps=int(count))
        )
    found += [
        Place(symbol=symbol, since=None, until=None, timestamps=len(own))
        for symbol, own in zip(panel.symbols, codes, strict=True)
    ]
    return tuple(found)
