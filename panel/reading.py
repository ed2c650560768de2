"""Files to clean rows of one symbol: times as UTC nanoseconds, numbers as floats, bars that make sense.

What is beyond doubt wrong with a file is an error that names the place. Single dirty bars are dropped and
counted; the count comes back as a note and becomes a warning of the panel.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from panel.errors import BadData, first_line, listed
from panel.files import SYMBOL_COLUMNS, SymbolFiles, column_names, csv_symbols, named_column
from panel.moments import moment_text, utc_nanoseconds
from panel.names import TIME_COLUMNS

_ROUNDING = 1e-6

Array = npt.NDArray[Any]
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFrame:
    """The clean rows of one symbol: `times` (rows,) int64 UTC ns rising, each of `columns` (rows,) float.

    `texts` maps each column that holds no numbers to what it holds; `notes` say what was dropped or replaced.
    """

    symbol: str
    times: Int64s
    columns: Mapping[str, Array]
    texts: Mapping[str, str]
    notes: tuple[str, ...]


def read_frames(
    files: Sequence[SymbolFiles], *, dtype: type[np.floating[Any]] = np.float32
) -> Iterator[SymbolFrame]:
    """The rows of each symbol in the order of `files`; each file is parsed once.

    Raises:
        BadData: a file is not readable, has no time column, or holds two rows of a symbol at one time.
    """
    long = [entry for entry in files if entry.long]
    parts, notes = _split_long(long, dtype)
    for entry in files:
        own = parts.pop(entry.symbol) if entry.long else [_read_part(path, dtype) for path in entry.paths]
        frame = _joined(entry, own)
        yield replace(frame, notes=(*frame.notes, *notes)) if entry.long else frame
        if entry.long:
            notes = []


def table_frames(
    table: pa.Table, *, symbol: str | None = None, dtype: type[np.floating[Any]] = np.float64
) -> tuple[SymbolFrame, ...]:
    """The rows of each symbol in a table in memory, as if read from files; `symbol` where none is named.

    Raises:
        BadData: it has no time column, no symbol column though it needs one, or two rows at one time.
    """
    source = Path("the table")
    column = named_column(table.column_names, SYMBOL_COLUMNS)
    if symbol is None and column is None:
        fix = f"Name the symbol column one of {listed(SYMBOL_COLUMNS)}."
        known = [name for name in table.column_names if not name.startswith("__")]  # those are ours
        raise BadData(source, f"no symbol column among {listed(known)}", fix)
    texts = _symbol_texts(table[column]) if column is not None else np.full(len(table), symbol)
    frames = []
    for label in sorted({str(text) for text in texts} - {""}):
        entry = SymbolFiles(symbol=label, paths=(source,), long=True)
        own = table.take(pa.array(np.flatnonzero(texts == label)))
        frames.append(_joined(entry, [_part(source, own, dtype)]))
    return tuple(frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    times: Int64s
    columns: dict[str, Array]
    texts: dict[str, str]
    timeless: int


def _split_long(
    files: Sequence[SymbolFiles], dtype: type[np.floating[Any]]
) -> tuple[dict[str, list[_Part]], list[str]]:
    """Parts of each wanted symbol out of files that hold several; one sort a file, whatever the symbols.

    The notes count the rows that name no symbol and so belong to none.
    """
    parts: dict[str, list[_Part]] = {entry.symbol: [] for entry in files}
    notes = []
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
            elif not label:
                notes.append(f"{path.name}: {stop - start} rows without a symbol dropped")
    return parts, notes


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
        _refuse_repeated(path, column_names(path))  # pandas would rename the second one
        frame = pd.read_csv(path, low_memory=False)
        symbol = named_column(frame.columns, SYMBOL_COLUMNS)
        if symbol is not None:
            frame[symbol] = csv_symbols(path, symbol)
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (OSError, EOFError, zlib.error, ValueError, pa.ArrowException) as error:
        what = f"cannot be read ({first_line(error)})"
        raise BadData(path, what, "Replace the file or take it out.") from error


def _refuse_repeated(path: Path, names: Sequence[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise BadData(path, f"several columns are called {listed(repeated)}", "Give each its own name.")


def _read_part(path: Path, dtype: type[np.floating[Any]]) -> _Part:
    return _part(path, read_table(path), dtype)


def _part(path: Path, table: pa.Table, dtype: type[np.floating[Any]]) -> _Part:
    time_column = named_column(table.column_names, TIME_COLUMNS)
    if time_column is None:
        fix = f"Name the time column one of {listed(TIME_COLUMNS)}."
        raise BadData(path, f"no time column among {listed(table.column_names)}", fix)
    _refuse_repeated(path, table.column_names)
    times, valid = utc_nanoseconds(path, time_column, table[time_column])
    symbol_column = named_column(table.column_names, SYMBOL_COLUMNS)
    columns, texts = {}, {}
    for name in table.column_names:
        if name in {time_column, symbol_column}:
            continue
        numbers = _numbers(table[name], dtype)
        if numbers is None:
            texts[name] = _word(table[name])
        else:
            columns[name] = numbers[valid]
    return _Part(times=times[valid], columns=columns, texts=texts, timeless=int((~valid).sum()))


def _word(column: pa.ChunkedArray) -> str:
    """What a column holds in place of numbers: its first text that is none, or the kind of its values."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return str(kind)
    words = pd.Series(pc.cast(column, kind).to_pandas(), dtype="object").dropna()
    odd = words[pd.to_numeric(words, errors="coerce").isna()]
    return repr(str(next(iter(odd if len(odd) else words), "")))[:40]


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


def _joined(entry: SymbolFiles, parts: Sequence[_Part]) -> SymbolFrame:
    """One symbol's parts as one frame: united columns, rows in time order, dirty bars dropped."""
    texts = {name: word for part in reversed(parts) for name, word in part.texts.items()}
    names = sorted({name for part in parts for name in part.columns} - set(texts))
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
