"""Panels made of arrays for the tests of the screens: noise of known memory, late symbols, planted laws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from planner_samples import panel_of
from scipy.signal import lfilter

from panel.aligned import Panel

Floats = npt.NDArray[np.float64]
Grid = Mapping[str, Floats]
"""Columns by name, each (symbols, timestamps); NaN for a missing value."""


def symbol_names(count: int) -> tuple[str, ...]:
    """S00, S01, ..."""
    return tuple(f"S{place:02d}" for place in range(count))


def remembering(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Floats:
    """First-order autoregressive noise of variance 1 along the last axis."""
    shocks = rng.standard_normal((*shape[:-1], shape[-1] + 400))
    made = lfilter([np.sqrt(1.0 - memory**2)], [1.0, -memory], shocks, axis=-1)
    return np.asarray(made[..., 400:])


def coming(shocks: Floats, bars: int) -> Floats:
    """Sums of the next `bars` shocks, (..., timestamps), NaN where there are not so many."""
    total = np.cumsum(np.concatenate((np.zeros((*shocks.shape[:-1], 1)), shocks), axis=-1), axis=-1)
    found = np.full(shocks.shape, np.nan)
    found[..., : shocks.shape[-1] - bars] = total[..., bars + 1 :] - total[..., 1:-bars]
    return found


def grid_panel(
    columns: Grid,
    folder: Path,
    *,
    bars: npt.NDArray[np.bool_] | None = None,
    stamps: pd.DatetimeIndex | None = None,
) -> Panel:
    """Prepare a panel of columns; `bars` (symbols, timestamps) says which bars exist, `stamps` when."""
    shape = next(iter(columns.values())).shape
    there = np.ones(shape, dtype=np.bool_) if bars is None else bars
    moments = pd.date_range("2000-01-01", periods=shape[1], freq="D", tz="UTC") if stamps is None else stamps
    frames = {
        symbol: pd.DataFrame(
            {
                "ts": moments[own].as_unit("ns"),
                **{name: values[place][own] for name, values in columns.items()},
            }
        )
        for place, (symbol, own) in enumerate(zip(symbol_names(shape[0]), there, strict=True))
    }
    return panel_of(frames, folder)


def sessions(days: int, slots: int) -> pd.DatetimeIndex:
    """Bars of thirty minutes, `slots` from 14:30 UTC on, on so many days."""
    opening = pd.date_range("2020-01-01 14:30", periods=days, freq="D", tz="UTC")
    return pd.DatetimeIndex(
        [start + pd.Timedelta(minutes=30 * slot) for start in opening for slot in range(slots)]
    )
