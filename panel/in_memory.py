"""A panel made of a DataFrame, in memory: for predictions of bars that are in no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from panel.aligned import FEATURE, Column, Float32s, Int32s, Int64s, Panel
from panel.errors import BadData
from panel.names import TIME_COLUMNS
from panel.reading import SymbolFrame, table_frames

_PLACE = "__place_in_the_frame"


class MemoryPanel(Panel):
    """A panel whose arrays are its own; every column that holds numbers is a feature.

    Attributes:
        places: (rows,) int64, the place of each row in the DataFrame it came from.
    """

    def __init__(self, frames: Sequence[SymbolFrame]) -> None:
        counts = [len(frame.times) for frame in frames]
        names = sorted({name for frame in frames for name in frame.columns} - {_PLACE})
        self.path, self.key, self.digests, self.layout_digest = Path(), "", {}, ""
        self.interval_ns = self.session_minutes = 0
        self.symbols = tuple(frame.symbol for frame in frames)
        self.rows = sum(counts)
        self.warnings = tuple(note for frame in frames for note in frame.notes)
        self.columns = tuple(_feature(name) for name in names)
        self.feature_names, self.targets = tuple(names), ()
        self.times: Int64s = np.concatenate([frame.times for frame in frames]).astype(np.int64)
        self.symbol_codes: Int32s = np.repeat(np.arange(len(frames), dtype=np.int32), counts)
        self.timestamps, codes = np.unique(self.times, return_inverse=True)
        self.time_codes: Int32s = codes.reshape(-1).astype(np.int32)
        self.places: Int64s = np.concatenate([frame.columns[_PLACE] for frame in frames]).astype(np.int64)
        self._place = {name: place for place, name in enumerate(names)}
        self._values: Float32s = np.full((len(names), self.rows), np.nan, dtype=np.float32)
        self._starts = np.cumsum([0, *counts])
        self._by_name = {column.name: column for column in self.columns}
        for start, frame in zip(self._starts[:-1], frames, strict=True):
            for place, name in enumerate(names):
                if name in frame.columns:
                    own = _narrow(frame.columns[name])
                    self._values[place, start : start + len(own)] = own


def panel_of_frame(frame: pd.DataFrame, *, symbol: str | None = None) -> MemoryPanel:
    """Return the bars of a DataFrame as a panel: what files of the same bars would give, targets not needed.

    Times and symbols are columns or levels of the index, named as in files; one of moments needs no name.
    `symbol` is that of all rows where there is no such column. Impossible bars are left out, as in files.

    Raises:
        BadData: no rows, no times, no symbols, two rows of a symbol at one time, or a column of no one type.
    """
    bars = _without_index(frame)
    if bars.columns.has_duplicates:
        repeated = sorted({str(name) for name in bars.columns[bars.columns.duplicated()]})
        raise BadData(Path("the table"), f"several columns are called {', '.join(repeated)}", "Rename them.")
    bars[_PLACE] = np.arange(len(bars), dtype=np.float64)
    try:
        table = pa.Table.from_pandas(bars, preserve_index=False)
    except pa.ArrowException as error:
        problem = f"a column holds values of several kinds ({error.args[-1]})"
        raise BadData(Path("the table"), problem, "Leave it out, or give it one type.") from error
    frames = table_frames(table, symbol=symbol)
    if not any(len(one.times) for one in frames):
        raise BadData(Path("the table"), "it has no rows", "Give at least the bars to predict.")
    return MemoryPanel([one for one in frames if len(one.times)])


def _without_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy in which what the index says is columns."""
    if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name is None:
        frame = frame.rename_axis(TIME_COLUMNS[2])
    twice = [place for place, name in enumerate(frame.index.names) if name in frame.columns]
    if twice:  # set_index(..., drop=False) left it among the columns too
        frame = frame.reset_index(level=twice, drop=True)
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index() if named else frame.reset_index(drop=True)


def _feature(name: str) -> Column:
    return Column(
        name=name, role=FEATURE, task=None, horizon_bars=None, classes=(), coverage=1.0,
        coverage_by_symbol={}, reason=None,
    )  # fmt: skip


def _narrow(values: Float32s) -> Float32s:
    """Return float32 values; what overflows counts as missing."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(values).astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))
