"""Files to clean rows of one symbol: times as UTC nanoseconds, numbers as floats, bars that make sense.

What is beyond doubt wrong with a file is an error that names the place. Single dirty bars are dropped and
counted; the count comes back as a note and becomes a warning of the panel.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.tseries.api import guess_datetime_format

from panel.errors import BadData, listed
from panel.files import SYMBOL_COLUMNS, SymbolFiles, csv_symbols, named_column

TIME_COLUMNS = ("ts", "timestamp", "time", "datetime", "date")
# Integers below this are seconds, milliseconds or days rather than nanoseconds of a market's time.
EARLIEST_NS = 10_000_000_000_000_000
_ROUNDING = 1e-6

Array = npt.NDArray[Any]
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFrame:
    """The clean rows of one symbol: `times` (rows,) int64 UTC ns rising, each of `columns` (rows,) float.

    `texts` are the columns that hold no numbers; `notes` say what was dropped or replaced.
    """

    symbol: str
    times: Int64s
    columns: Mapping[str, Array]
    texts: frozenset[str]
    notes: tuple[str, ...]


def read_frames(
    files: Sequence[SymbolFiles], *, dtype: type[np.floating[Any]] = np.float32
) -> Iterator[SymbolFrame]:
    """The rows of each symbol in the order of `files`; each file is parsed once.

    Raises:
        BadData: a file is not readable, has no time column, or holds two rows of a symbol at one time.
    """
    long = [entry for entry in files if entry.long]
    parts = _split_long(long, dtype) if long else {}
    for entry in files:
        own = parts.pop(entry.symbol) if entry.long else [_read_part(path, dtype) for path in entry.paths]
        yield _joined(entry, own)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    times: Int64s
    columns: dict[str, Array]
    texts: frozenset[str]
    timeless: int


def _split_long(files: Sequence[SymbolFiles], dtype: type[np.floating[Any]]) -> dict[str, list[_Part]]:
    """Parts of each wanted symbol out of files that hold several; one sort a file, whatever the symbols."""
    parts: dict[str, list[_Part]] = {entry.symbol: [] for entry in files}
    for path in sorted({path for entry in files for path in entry.paths}):
        table = read_table(path)
        column = named_column(table.column_names, SYMBOL_COLUMNS) or "symbol"
        labels, codes = np.unique(_symbol_texts(table[column]), return_inverse=True)
        order = np.argsort(codes.reshape(-1), kind="stable")
        grouped = table.take(pa.array(order))
        edges = np.searchsorted(codes.reshape(-1)[order], np.arange(len(labels) + 1))
        for label, start, stop in zip(labels, edges[:-1], edges[1:], strict=True):
            if label in parts:
                parts[label].append(_part(path, grouped.slice(start, stop - start), dtype))
    return parts


def _symbol_texts(column: pa.ChunkedArray) -> Array:
    texts = pc.fill_null(pc.cast(column, pa.string()), "")
    return np.asarray(texts.to_numpy(), dtype=np.str_)


def read_table(path: Path) -> pa.Table:
    """One file as it is, nothing inferred from its directory names.

    Raises:
        BadData: the file is not readable.
    """
    try:
        if path.suffix == ".parquet":
            return pq.ParquetFile(path).read()
        frame = pd.read_csv(path, low_memory=False)
        symbol = named_column(frame.columns, SYMBOL_COLUMNS)
        if symbol is not None:
            frame[symbol] = csv_symbols(path, symbol)
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadData(path, f"cannot be read ({error})", "Replace the file or take it out.") from error


def _read_part(path: Path, dtype: type[np.floating[Any]]) -> _Part:
    return _part(path, read_table(path), dtype)


def _part(path: Path, table: pa.Table, dtype: type[np.floating[Any]]) -> _Part:
    time_column = named_column(table.column_names, TIME_COLUMNS)
    if time_column is None:
        fix = f"Name the time column one of {listed(TIME_COLUMNS)}."
        raise BadData(path, f"no time column among {listed(table.column_names)}", fix)
    repeated = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if repeated:
        raise BadData(path, f"several columns are called {listed(repeated)}", "Give each its own name.")
    times, valid = _times(path, time_column, table[time_column])
    symbol_column = named_column(table.column_names, SYMBOL_COLUMNS)
    columns, texts = {}, set()
    for name in table.column_names:
        if name in {time_column, symbol_column}:
            continue
        numbers = _numbers(table[name], dtype)
        if numbers is None:
            texts.add(name)
        else:
            columns[name] = numbers[valid]
    return _Part(times=times[valid], columns=columns, texts=frozenset(texts), timeless=int((~valid).sum()))


def _numbers(column: pa.ChunkedArray, dtype: type[np.floating[Any]]) -> Array | None:
    """A column as floats with NaN for missing values, or None when it holds no numbers."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan, dtype=dtype)
    if pa.types.is_dictionary(kind):
        return _numbers(pc.cast(column, kind.value_type), dtype)
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if not any(check(kind) for check in numeric):
        return None
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.int8())
    elif not pa.types.is_floating(kind):
        column = pc.cast(column, pa.float64(), safe=False)
    with np.errstate(over="ignore"):
        return np.asarray(column.to_numpy()).astype(dtype)


def _times(path: Path, name: str, column: pa.ChunkedArray) -> tuple[Int64s, Mask]:
    """UTC nanoseconds and which rows have a time at all."""
    kind = column.type
    fix = "Write datetimes (ISO 8601) or integer nanoseconds since 1970 UTC."
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _parsed(path, name, column, fix)
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_integer(kind)):
        raise BadData(path, f"the time column {name} holds {kind}", fix)
    valid: Mask = np.asarray(pc.is_valid(column).to_numpy(), dtype=np.bool_)
    try:
        moments = column if pa.types.is_integer(kind) else _utc_moments(column)
        filled = pc.fill_null(pc.cast(moments, pa.int64()), 0)
    except pa.ArrowException as error:
        raise BadData(path, f"the time column {name} does not fit nanoseconds ({error})", fix) from error
    times: Int64s = np.asarray(filled.to_numpy(), dtype=np.int64)
    if pa.types.is_integer(kind) and valid.any() and np.abs(times[valid]).max() < EARLIEST_NS:
        seen = int(times[valid][0])
        raise BadData(path, f"the integers in {name} (first {seen}) are no nanoseconds of our time", fix)
    return times, valid


def _utc_moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return pc.cast(column, pa.timestamp("ns", tz=zone))


def _parsed(path: Path, name: str, column: pa.ChunkedArray, fix: str) -> pa.ChunkedArray:
    """Texts as moments: ISO 8601, or else all in the format of the first one."""
    texts = pd.Series(column.to_pandas(), dtype="str")
    first = next(iter(texts.dropna()), "")
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?(\.\d+)?", first):
        raise BadData(path, f"the time column {name} holds times of day without a date", fix)
    try:
        moments = pd.to_datetime(texts, utc=True, format="ISO8601")
    except ValueError as error:
        spelling = guess_datetime_format(first)
        if spelling is None:
            raise BadData(path, f"the time column {name} cannot be read ({error})", fix) from error
        try:
            moments = pd.to_datetime(texts, utc=True, format=spelling)
        except ValueError as other:
            raise BadData(path, f"the time column {name} cannot be read ({other})", fix) from other
    return pa.chunked_array([pa.array(moments.dt.as_unit("ns"), from_pandas=True)])


def _joined(entry: SymbolFiles, parts: Sequence[_Part]) -> SymbolFrame:
    """One symbol's parts as one frame: united columns, rows in time order, dirty bars dropped."""
    texts = frozenset[str]().union(*(part.texts for part in parts))
    names = sorted({name for part in parts for name in part.columns} - texts)
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    times = times[order]
    columns = {name: _stacked(name, parts)[order] for name in names}
    _refuse_duplicates(entry, times)
    notes = []
    timeless = sum(part.timeless for part in parts)
    if not len(times):
        notes.append(f"{entry.symbol}: no rows")
    if timeless:
        notes.append(f"{entry.symbol}: {timeless} rows without a time dropped")
    infinite = 0
    for values in columns.values():
        wrong = np.isinf(values)
        infinite += int(wrong.sum())
        values[wrong] = np.nan
    if infinite:
        notes.append(f"{entry.symbol}: {infinite} infinite values taken as missing")
    clean = clean_bars(columns)
    if not clean.all():
        first = moment_text(int(times[np.flatnonzero(~clean)[0]]))
        notes.append(f"{entry.symbol}: {int((~clean).sum())} impossible bars dropped, the first at {first}")
        times, columns = times[clean], {name: values[clean] for name, values in columns.items()}
    return SymbolFrame(symbol=entry.symbol, times=times, columns=columns, texts=texts, notes=tuple(notes))


def _stacked(name: str, parts: Sequence[_Part]) -> Array:
    dtype = next(part.columns[name].dtype for part in parts if name in part.columns)
    missing = [np.full(len(part.times), np.nan, dtype=dtype) for part in parts]
    return np.concatenate([part.columns.get(name, gap) for part, gap in zip(parts, missing, strict=True)])


def _refuse_duplicates(entry: SymbolFiles, times: Int64s) -> None:
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        place = entry.paths[0] if len(entry.paths) == 1 else entry.paths[0].parent
        what = (
            f"{entry.symbol} has two rows at {moment_text(int(times[twice[0]]))} ({len(twice)} such repeats)"
        )
        raise BadData(place, what, "Keep one row for each symbol and time.")


def clean_bars(columns: Mapping[str, Array]) -> Mask:
    """Which rows are possible bars, (rows,): high and low enclose open and close, volume is not negative.

    Only what is present and finite is judged; a relative rounding of 1e-6 is forgiven. Prices below zero
    occur (futures, spreads) and are left alone.
    """
    count = len(next(iter(columns.values()))) if columns else 0
    bars = {
        name: np.asarray(columns[found], dtype=np.float64)
        for name in ("open", "high", "low", "close", "volume")
        if (found := named_column(columns, (name,))) is not None
    }
    wrong = np.zeros(count, dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        for name in ("open", "high", "low", "close"):
            if name not in bars:
                continue
            slack = np.abs(bars[name]) * _ROUNDING
            if "high" in bars:
                wrong |= bars[name] > bars["high"] + slack
            if "low" in bars:
                wrong |= bars[name] < bars["low"] - slack
        if "volume" in bars:
            wrong |= bars["volume"] < 0.0
    return ~wrong


def moment_text(time_ns: int) -> str:
    """A time in UTC nanoseconds as ISO 8601 text to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).isoformat(timespec="seconds")
