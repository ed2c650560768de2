"""A panel on its time axis with its screens, cells and folds on it: what the measuring engine stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from planner_samples import panel_of

from panel.aligned import Panel
from planner.cells import Cell
from planner.finding import Law
from planner.grids import Edges, FoldGrid
from planner.scores import TIME, Axis, Channel, axis_of, channels_of, label_grid
from planner.screens import Screened, screen
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC


@dataclass(frozen=True)
class Stage:
    """What every cell of a panel stands on."""

    panel: Panel
    axis: Axis
    channels: tuple[Channel, ...]
    screened: Screened

    def grid(self, test_from: int, test_until: int) -> FoldGrid:
        """The features of one fold."""
        return FoldGrid(self.axis, self.screened, Edges(test_from, test_until))

    def place(self, feature: str) -> int:
        """Where a feature lies."""
        return self.screened.features.index(feature)

    def cell(self, target: str, symbol: str | None = None, **changes: Any) -> Cell:
        """A cell of one target in one view, as the walk opens it; no law, no inflation of luck."""
        places = [place for place, channel in enumerate(self.channels) if channel.target == target]
        symbols = tuple(range(len(self.panel.symbols)))
        kind = self.channels[places[0]].pooled
        if symbol is not None:
            symbols, kind = (self.panel.symbols.index(symbol),), TIME
        values: dict[str, Any] = {
            "axis": self.axis,
            "column": self.panel.column(target),
            "view": CROSS_SECTIONAL if symbol is None else SYMBOL_SPECIFIC,
            "symbol": symbol,
            "symbols": symbols,
            "kind": kind,
            "raw": label_grid(self.axis, self.channels)[list(symbols)][:, places],
            "features": self.screened.features,
            "usable": np.arange(len(self.screened.features)),
            "law": None,
            "inflation": np.ones(len(self.screened.features)),
            "confirmed": False,
        }
        return Cell(**{**values, **changes})


def stage(data: Mapping[str, pd.DataFrame], folder: Path, until: int | None = None) -> Stage:
    """Put frames by symbol on a time axis that ends at `until` (all of it) and screen them."""
    panel = panel_of(data, folder)
    axis = axis_of(panel, len(panel.timestamps) if until is None else until)
    channels = channels_of(panel, sorted(panel.targets, key=lambda column: column.name))
    return Stage(panel, axis, channels, screen(axis, sorted(panel.feature_names), channels))


def law(**by_family: float) -> Law:
    """A law of which each named family of screens is so sure, the others not at all."""
    every = {"rank": 1.0, "folded": 1.0, "product": 1.0, "lag": 1.0, **by_family}
    best = min(every, key=lambda name: every[name])
    return Law(found_by=best, leading=(), z=9.0, sign=1, p=every[best], tests=10, by_family=every)


def series(columns: Mapping[str, Sequence[float] | npt.NDArray[np.floating]]) -> pd.DataFrame:
    """Columns as daily bars from 2015 on."""
    rows = len(next(iter(columns.values())))
    stamps = pd.date_range("2015-01-01", periods=rows, freq="D", tz="UTC").as_unit("ns")
    return pd.DataFrame({"ts": stamps, **columns})


def sessions(columns: Mapping[str, npt.NDArray[np.floating]], bars: int) -> pd.DataFrame:
    """Columns as quarter hours of sessions of `bars` bars each, from the opening at 14:30."""
    rows = len(next(iter(columns.values())))
    opening = pd.Timestamp("2024-01-02 14:30", tz="UTC")
    stamps = [opening + pd.Timedelta(days=row // bars, minutes=15 * (row % bars)) for row in range(rows)]
    return pd.DataFrame({"ts": pd.DatetimeIndex(stamps).as_unit("ns"), **columns})
