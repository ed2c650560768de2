"""Which rows have a window of consecutive bars of their symbol behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from panel.aligned import Panel

DAY_NS = 86_400_000_000_000
_LONGEST_PAUSE_NS = 7 * DAY_NS
_GAP_IN_STEPS = 1.5
_DAILY_FROM_NS = DAY_NS // 2


def first_reachable(panel: Panel) -> NDArray[np.int64]:
    """Return for each row the earliest row a window ending there may begin with, (rows,) int64.

    A window never leaves its symbol and never spans a gap: on daily and slower data a pause of more than
    seven calendar days (or 1.5 usual steps, if that is longer), on intraday data a pause of more than 1.5
    usual steps within one UTC day, or of more than seven days between sessions. The usual step is the
    symbol's median.
    """
    breaks = np.zeros(panel.rows, dtype=bool)  # a window may not reach back beyond a break
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        if own.start == own.stop:
            continue
        breaks[own.start] = True
        breaks[own.start + 1 : own.stop] = _gaps(panel.times[own])
    starts = np.where(breaks, np.arange(panel.rows), 0)
    return np.maximum.accumulate(starts).astype(np.int64)


def with_full_window(panel: Panel, rows: NDArray[np.int64], window: int) -> NDArray[np.bool_]:
    """Return which of `rows` have `window` rows (themselves the last) of one symbol without a gap."""
    if window <= 1:
        return np.ones(len(rows), dtype=np.bool_)
    return np.asarray(rows - first_reachable(panel)[rows] + 1 >= window)


def _gaps(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each row but the first comes after a gap, (rows - 1,) bool."""
    pauses = np.diff(times)
    if not len(pauses):
        return np.zeros(0, dtype=bool)
    usual = _GAP_IN_STEPS * float(np.median(pauses))
    if np.median(pauses) >= _DAILY_FROM_NS:
        return np.asarray(pauses > max(_LONGEST_PAUSE_NS, usual))
    same_day = times[1:] // DAY_NS == times[:-1] // DAY_NS
    return np.asarray(np.where(same_day, pauses > usual, pauses > _LONGEST_PAUSE_NS))
