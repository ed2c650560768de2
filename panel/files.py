"""Where the rows of each symbol lie: every accepted layout is recognised by itself.

    DATA/symbol=AAPL/*.parquet      DATA/interval=5m/symbol=AAPL/*.parquet      DATA/AAPL/*.parquet
    DATA/AAPL.parquet    DATA/AAPL_mtf.parquet    DATA/AAPL.csv
    one long file, or a dataset of them, with a symbol column

Parquet is preferred where the same symbol lies in both formats, X_mtf.parquet before X.parquet.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from panel.errors import BadData, DataNotFound, UnknownSymbol, first_line, listed
from panel.listing import LAYOUTS, data_files
from panel.names import TIME_COLUMNS, unplannable

SYMBOL_COLUMNS = ("symbol", "ticker")


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFiles:
    """The files of one symbol. `long`: they hold other symbols too, told apart by their symbol column."""

    symbol: str
    paths: tuple[Path, ...]
    long: bool


def find_symbol_files(
    data_dir: Path, symbols: Sequence[str] | None = None, *, interval: str | None = None
) -> tuple[SymbolFiles, ...]:
    """The files of each symbol, sorted by symbol; of the symbols asked only, when any are.

    Raises:
        DataNotFound: nothing there.
        BadData: several bar intervals lie side by side and `interval` names none of them; or bars lie where
            taking them would leave others out.
        UnknownSymbol: a symbol was asked for that is not there.
    """
    files = _of_interval(data_dir, data_files(data_dir), interval)
    hive = [path for path in files if _part(path, data_dir, "symbol") is not None]
    if hive:
        _refuse_strays(hive, files)
    found = _by_directory(hive, data_dir) if hive else _by_file(files, data_dir)
    if not found:
        raise DataNotFound(data_dir, "no parquet or csv files of bars", LAYOUTS)
    for entry in found.values():
        _refuse_unwritable(entry)
    missing = [symbol for symbol in symbols or () if symbol not in found]
    if missing:
        raise UnknownSymbol(missing, sorted(found))
    return tuple(found[symbol] for symbol in sorted(set(symbols) if symbols else found))


def column_names(path: Path) -> tuple[str, ...]:
    """The column names of one file, reading only its head.

    Raises:
        BadData: the head is not readable.
    """
    try:
        if path.suffix == ".parquet":
            return tuple(pq.read_schema(path).names)
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as lines:
            return tuple(next(csv.reader(lines), ()))
    except (OSError, EOFError, zlib.error, ValueError, csv.Error, pa.ArrowException) as error:
        what = f"cannot be read ({first_line(error)})"
        raise BadData(path, what, "Replace the file or take it out.") from error


def named_column(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The first of `wanted` that is among `names`, whatever the case, spelt as in `names`."""
    lowered = {name.lower(): name for name in reversed(list(names))}
    return next((lowered[name] for name in wanted if name in lowered), None)


def _part(path: Path, root: Path, key: str) -> str | None:
    """Value of a `key=value` directory on the way from `root` down to `path`."""
    for part in path.relative_to(root).parent.parts:
        if part.startswith(f"{key}="):
            return unquote(part.partition("=")[2])
    return None


def _of_interval(root: Path, files: Sequence[Path], interval: str | None) -> list[Path]:
    present = sorted({value for path in files if (value := _part(path, root, "interval")) is not None})
    if not present:
        return list(files)
    fix = f'Name one with the option interval= ([data] interval = "{present[0]}").'
    if interval is None and len(present) > 1:
        raise BadData(root, f"several bar intervals lie side by side ({listed(present)})", fix)
    if interval is not None and interval not in present:
        raise BadData(root, f"no interval={interval} there, only {listed(present)}", fix)
    chosen = interval or present[0]
    return [path for path in files if _part(path, root, "interval") == chosen]


def _refuse_unwritable(entry: SymbolFiles) -> None:
    """A symbol whose name is no text, or a path, could stand in no plan, table or event."""
    shown = entry.symbol.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    problem = unplannable(entry.symbol, symbol=True)
    if problem is None and any("\ud800" <= letter <= "\udfff" for letter in entry.symbol):
        problem = "the name is not UTF-8"
    if problem is not None:
        raise BadData(entry.paths[0].parent, f"symbol {shown!r}: {problem}", "Rename it.")


def _refuse_strays(hive: Sequence[Path], files: Sequence[Path]) -> None:
    """Bars beside the symbol=NAME directories would be left out without a word."""
    for path in sorted(set(files) - set(hive)):
        if named_column(column_names(path), TIME_COLUMNS) is not None:
            fix = "Move it into a directory of its own, symbol=NAME, or out of the data directory."
            raise BadData(path, "these bars lie outside the symbol=NAME directories beside them", fix)


def _by_directory(files: Sequence[Path], root: Path) -> dict[str, SymbolFiles]:
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(_part(path, root, "symbol") or "", []).append(path)
    return {
        symbol: SymbolFiles(symbol=symbol, paths=_one_format(paths), long=False)
        for symbol, paths in groups.items()
    }


def _by_file(files: Sequence[Path], root: Path) -> dict[str, SymbolFiles]:
    """Files named after their symbol or lying in a directory named after it, and long files."""
    own: dict[str, list[Path]] = {}
    shared: dict[str, list[Path]] = {}
    for path in files:
        symbol = _stem(path).removesuffix("_mtf")
        inside = _symbols_inside(path)
        if inside is not None and inside != {symbol}:
            for name in inside:
                shared.setdefault(name, []).append(path)
        elif inside is None and path.parent != root and root.is_dir():
            own.setdefault(path.parent.name, []).append(path)
        else:
            own[symbol] = [_preferred([*own.get(symbol, []), path])]
    found = {
        name: SymbolFiles(symbol=name, paths=_one_format(paths), long=False) for name, paths in own.items()
    }
    for symbol in sorted(set(own) & set(shared)):
        what = f"{symbol} lies in this file of several symbols and in {own[symbol][0].name}"
        raise BadData(shared[symbol][0], what, "Keep one of the two.")
    found |= {name: SymbolFiles(symbol=name, paths=tuple(paths), long=True) for name, paths in shared.items()}
    return found


def _symbols_inside(path: Path) -> set[str] | None:
    """The values of a file's symbol column, or None when it has none."""
    column = named_column(column_names(path), SYMBOL_COLUMNS)
    if column is None:
        return None
    if path.suffix == ".parquet":
        values: Iterable[object] = pq.ParquetFile(path).read(columns=[column])[column].unique().to_pylist()
    else:
        values = csv_symbols(path, column).unique().tolist()
    return {str(value) for value in values if value is not None and value != ""}


def csv_symbols(path: Path, column: str) -> "pd.Series[str]":
    """The symbol column of a csv as the texts it holds: NA and 000001 are tickers like any other."""
    return pd.read_csv(path, usecols=[column], dtype=str, keep_default_na=False)[column]


def _one_format(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The parquet files where there are any; a csv beside them must be a copy of one of them."""
    parquet = tuple(path for path in paths if path.suffix == ".parquet")
    copies = {_stem(path) for path in parquet}
    for path in paths:
        if parquet and _stem(path) not in copies:
            fix = "Keep the bars of a symbol in one format."
            raise BadData(path, "bars in csv beside others in parquet would be left out", fix)
    return parquet or tuple(paths)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _preferred(paths: Sequence[Path]) -> Path:
    return min(paths, key=lambda path: (path.suffix != ".parquet", not path.stem.endswith("_mtf"), path))
