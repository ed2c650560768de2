"""The aligned panel: all symbols' rows in one memory-mapped array, opened with numpy alone.

A panel is a directory: meta.json, values.npy (columns, rows) float32, times.npy (rows,) int64 UTC
nanoseconds, symbols.npy (rows,) int32, timestamps.npy and time_codes.npy. Rows are sorted by
(symbol, time), so a symbol is one slice and a column of one symbol is contiguous. Every process that
opens the same panel maps the same pages.
"""

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.errors import PanelDamaged, UnknownColumn, UnknownSymbol

SCHEMA = 1
FEATURE, TARGET, LEFT_OUT = "feature", "target", "left_out"

Float32s = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the data and what it is good for.

    `role` is "feature", "target" or "left_out" (then `reason` says why). `task` ("regression", "binary",
    "multiclass"), `horizon_bars` and `classes` belong to targets. Coverage is the share of finite values.
    """

    name: str
    role: str
    task: str | None
    horizon_bars: int | None
    classes: tuple[float, ...]
    coverage: float
    coverage_by_symbol: Mapping[str, float]
    reason: str | None


class Panel:
    """The aligned rows of all symbols, read-only and memory-mapped; made by open_panel.

    `key` names the whole content. `digests` (SHA-256 of each stored column's bytes) and `layout_digest` (of
    times, symbols and interval) name its parts: what read some columns only is still true of another panel
    that has the same ones. Both are empty in panels stored before they were kept.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        self.path: Path = path
        self.key: str = meta["key"]
        self.digests: Mapping[str, str] = meta.get("digests", {})
        self.layout_digest: str = meta.get("layout_digest", "")
        self.interval_ns: int = meta["interval_ns"]
        self.session_minutes: int = meta["session_minutes"]
        self.symbols: tuple[str, ...] = tuple(meta["symbols"])
        self.rows: int = meta["rows"]
        self.warnings: tuple[str, ...] = tuple(meta["warnings"])
        self.columns: tuple[Column, ...] = tuple(_column(record) for record in meta["columns"])
        self.feature_names: tuple[str, ...] = tuple(c.name for c in self.columns if c.role == FEATURE)
        self.targets: tuple[Column, ...] = tuple(c for c in self.columns if c.role == TARGET)
        self.times: Int64s = _mapped(path, "times", (self.rows,), np.int64)
        self.symbol_codes: Int32s = _mapped(path, "symbols", (self.rows,), np.int32)
        self.time_codes: Int32s = _mapped(path, "time_codes", (self.rows,), np.int32)
        self.timestamps: Int64s = _mapped(path, "timestamps", (meta["timestamps"],), np.int64)
        stored: list[str] = meta["stored"]
        self._place = {name: place for place, name in enumerate(stored)}
        self._values: Float32s = _mapped(path, "values", (len(stored), self.rows), np.float32)
        self._starts = np.searchsorted(self.symbol_codes, np.arange(len(self.symbols) + 1))
        self._by_name = {column.name: column for column in self.columns}

    def __repr__(self) -> str:
        return (
            f"Panel({self.key}, {self.rows} rows, {len(self.symbols)} symbols, "
            f"{len(self.feature_names)} features, {len(self.targets)} targets)"
        )

    def column(self, name: str) -> Column:
        """The record of one column.

        Raises:
            UnknownColumn: no such column; names the nearest.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownColumn(name, self._by_name) from None

    def values(self, name: str) -> Float32s:
        """One column of all rows, (rows,) float32, missing values NaN; a read-only view of the mapped file.

        Raises:
            UnknownColumn: no such column, or one that holds no numbers.
        """
        column: Float32s = self._values[self._index(name)]
        return column

    def matrix(self, names: Sequence[str], rows: Int64s | slice | None = None) -> Float32s:
        """The named columns at the asked rows, (rows, len(names)) float32 in C order; copies those rows only.

        Raises:
            UnknownColumn: one of the names is unknown or holds no numbers.
        """
        places = np.array([self._index(name) for name in names], dtype=np.intp)
        wanted = np.arange(self.rows)[rows] if rows is None or isinstance(rows, slice) else np.asarray(rows)
        wanted = wanted.reshape(-1)
        out = np.empty((len(wanted), len(places)), dtype=np.float32)  # (rows, columns)
        for start in range(0, len(wanted), _BLOCK_ROWS):
            block = wanted[start : start + _BLOCK_ROWS]
            for to, place in enumerate(places):
                out[start : start + len(block), to] = self._values[place, block]
        return out

    def rows_of(self, symbol: str) -> slice:
        """The slice of rows that belong to one symbol, in time order.

        Raises:
            UnknownSymbol: the panel holds no such symbol.
        """
        if symbol not in self.symbols:
            raise UnknownSymbol([symbol], self.symbols)
        code = self.symbols.index(symbol)
        return slice(int(self._starts[code]), int(self._starts[code + 1]))

    def label_end_codes(self, horizon_bars: int) -> Int32s:
        """Time code of each row's own symbol's bar `horizon_bars` ahead, (rows,) int32.

        Where the symbol ends earlier, the last time code of the whole panel: an unknown end counts as
        the latest possible one, so a split never trusts it.
        """
        ends = np.full(self.rows, len(self.timestamps) - 1, dtype=np.int32)
        for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True):
            if start + horizon_bars < stop:
                ends[start : stop - horizon_bars] = self.time_codes[start + horizon_bars : stop]
        return ends

    def let_go(self) -> None:
        """Unmap the pages read so far; they stay in the system's page cache and come back when read again.

        Mapped pages count as this process's memory while they are mapped. Views stay valid.
        """
        pages: Any = self._values
        while isinstance(pages, np.ndarray):
            pages = pages.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)

    def _index(self, name: str) -> int:
        place = self._place.get(name)
        if place is None:
            self.column(name)
            raise UnknownColumn(name, self._place, "holds no numbers")
        return place


def open_panel(path: Path) -> Panel:
    """Open a stored panel by mapping its files; reads only meta.json.

    Raises:
        PanelDamaged: a file is missing, cut short, or of another schema.
    """
    try:
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PanelDamaged(path, f"meta.json is not readable ({error})") from error
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        raise PanelDamaged(path, f"meta.json is not a panel of schema {SCHEMA}")
    return Panel(path, meta)


def _column(record: Mapping[str, Any]) -> Column:
    return Column(**{**record, "classes": tuple(record["classes"])})


def _mapped(path: Path, stem: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    file = path / f"{stem}.npy"
    try:
        array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PanelDamaged(path, f"{file.name} is missing or cut short ({error})") from error
    if array.shape != shape or array.dtype != dtype:
        raise PanelDamaged(path, f"{file.name} is {array.dtype} {array.shape}, expected {shape}")
    return array.view(np.ndarray)
