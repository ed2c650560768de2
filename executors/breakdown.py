"""The score of a model period by period and symbol by symbol: a mean may hide that it stopped working."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panel.aligned import Panel
from panel.metrics import SYMBOL_SPECIFIC, score

PERIODS = 12
_FEWEST_MONTHS, _MOST_MONTHS = 4, 24
_SECOND_NS = 1_000_000_000


def by_period(
    panel: Panel,
    rows: NDArray[np.int64],
    prediction: NDArray[np.float32],
    labels: NDArray[np.float32],
    *,
    task: str,
    view: str,
    horizon_bars: int,
) -> list[dict[str, Any]]:
    """Return the score of each calendar month (UTC) of the panel rows `rows`, oldest first.

    A span of fewer than 4 or more than 24 months is parted into 12 spans of equal length instead. Each has
    from and until (ISO), rows, and what `panel.metrics.score` says.
    """
    if not len(rows):
        return []
    times = panel.times[rows]
    found = []
    edges = _edges(int(times.min()), int(times.max()))
    for first, last in itertools.pairwise(edges):
        own = (times >= first) & (times < last)
        if own.any():
            place = {"from": _iso(first), "until": _iso(last), "rows": int(own.sum())}
            here = _score(panel, rows[own], prediction[own], labels[own], task, view, horizon_bars)
            found.append({**place, **here})
    return found


def by_symbol(
    panel: Panel,
    rows: NDArray[np.int64],
    prediction: NDArray[np.float32],
    labels: NDArray[np.float32],
    *,
    task: str,
    horizon_bars: int,
) -> list[dict[str, Any]]:
    """Return the score of each symbol over time on the panel rows `rows`, in the panel's order of symbols."""
    codes = panel.symbol_codes[rows]
    found = []
    for code in np.unique(codes):
        own = codes == code
        place = {"symbol": panel.symbols[code], "rows": int(own.sum())}
        here = _score(panel, rows[own], prediction[own], labels[own], task, SYMBOL_SPECIFIC, horizon_bars)
        found.append({**place, **here})
    return found


def _score(
    panel: Panel,
    rows: NDArray[np.int64],
    prediction: NDArray[np.float32],
    labels: NDArray[np.float32],
    task: str,
    view: str,
    horizon_bars: int,
) -> dict[str, Any]:
    places = (panel.time_codes[rows], panel.symbol_codes[rows])
    found = score(prediction, labels, *places, task=task, view=view, horizon_bars=horizon_bars)
    return {
        "metric": found.metric,
        "score": found.value,
        "standard_error": found.standard_error,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "n_effective": found.n_effective,
    }


def _edges(first: int, last: int) -> list[int]:
    """Return the begins of the periods that hold the times `first` to `last` and the end of the last one."""
    months = [int(month) for month in _months(first, last)]
    if _FEWEST_MONTHS <= len(months) - 1 <= _MOST_MONTHS:
        return months
    # At least a nanosecond each, and the last time lies within.
    step = max(1, -(-(last + 1 - first) // PERIODS))
    return [first + place * step for place in range(PERIODS + 1)]


def _months(first: int, last: int) -> NDArray[np.int64]:
    begin = np.datetime64(first, "ns").astype("datetime64[M]")
    end = np.datetime64(last, "ns").astype("datetime64[M]") + 1
    return np.arange(begin, end + 1).astype("datetime64[ns]").astype(np.int64)


def _iso(time: int) -> str:
    return f"{datetime.fromtimestamp(time // _SECOND_NS, UTC):%Y-%m-%dT%H:%M:%SZ}"
