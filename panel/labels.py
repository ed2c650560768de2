"""Raw bars to features and targets, without a look ahead.

A feature at bar t is a function of bars up to and with t: changing any later bar leaves it bit for bit the
same. A target at t with a horizon of h bars is a function of the close (and for barriers the volatility) at
t and of bars t+1 .. t+h, and NaN where those bars do not exist yet. Windows are slices of fixed length, so
no rounding of one bar is carried to the next.

Adjusted closes, where the bars have them, scale all four prices, so a split is no return.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from panel.assembly import bar_interval_ns
from panel.errors import BadData, BadHorizon, listed
from panel.files import find_symbol_files, named_column
from panel.horizon import DAY_NS, horizon_name
from panel.names import safe_file_name
from panel.reading import SymbolFrame, read_frames

BARS = ("open", "high", "low", "close", "volume")
ADJUSTED = ("adj_close", "adj close", "adjclose", "adjusted_close", "adjusted close")
HORIZONS = (1, 5)
BARRIER_SIGMAS = 1.0
SIGMA_BARS = 20

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSummary:
    """What labelling wrote: `rows` by symbol, the names of features and targets, notes on dropped bars."""

    out_dir: Path
    interval_ns: int
    rows: Mapping[str, int]
    features: tuple[str, ...]
    targets: tuple[str, ...]
    notes: tuple[str, ...]


def label_directory(
    data_dir: Path,
    out_dir: Path,
    *,
    symbols: Sequence[str] | None = None,
    horizons: Sequence[int] = HORIZONS,
    interval: str | None = None,
) -> LabelSummary:
    """Write DIR/symbol=X/X.parquet with bars, features and targets for every symbol of raw bars.

    `horizons` are bars ahead. The same bars give the same bytes.

    Raises:
        DataNotFound, UnknownSymbol, BadData: the bars cannot be read, or a column of them is missing, or
            the result would lie among them.
        BadHorizon: a horizon below 1.
    """
    if out_dir.resolve() == data_dir.resolve() or data_dir.resolve() in out_dir.resolve().parents:
        fix = "Give a directory of its own, beside the raw bars."
        raise BadData(out_dir, "labelled bars would mix with the raw ones", fix)
    frames = list(read_frames(find_symbol_files(data_dir, symbols, interval=interval), dtype=np.float64))
    interval_ns = bar_interval_ns([frame.times for frame in frames], data_dir)
    rows, names = {}, [""]
    for frame in frames:
        labelled = label_bars(_bars(frame, data_dir), interval_ns, horizons)
        _write(labelled, out_dir / f"symbol={quote(frame.symbol, safe='')}", frame.symbol)
        rows[frame.symbol] = len(labelled)
        names = [str(name) for name in labelled.columns]
    made = [name for name in names if name not in {"ts", *BARS}]
    return LabelSummary(
        out_dir=out_dir,
        interval_ns=interval_ns,
        rows=rows,
        features=tuple(name for name in made if not name.startswith(("y_", "fwd_ret_"))),
        targets=tuple(name for name in made if name.startswith(("y_", "fwd_ret_"))),
        notes=tuple(note for frame in frames for note in frame.notes),
    )


def label_bars(frame: pd.DataFrame, interval_ns: int, horizons: Sequence[int] = HORIZONS) -> pd.DataFrame:
    """Bars of one symbol with their features (float32) and targets (float32) beside them, row for row.

    `frame` has ts (datetime64 UTC, rising), open, high, low, close, volume, and may have adj_close, by which
    the prices of the result are scaled. Missing history or future is NaN, no row is dropped.

    Raises:
        BadHorizon: a horizon below 1.
    """
    if any(ahead < 1 for ahead in horizons):
        raise BadHorizon(min(horizons))
    bars = {name: frame[name].to_numpy(dtype=np.float64) for name in BARS}
    if "adj_close" in frame:
        factor = frame["adj_close"].to_numpy(dtype=np.float64) / bars["close"]
        bars |= {name: bars[name] * factor for name in ("open", "high", "low", "close")}
    with np.errstate(divide="ignore", invalid="ignore"):
        made = {**_features(bars), **_clock(frame["ts"], interval_ns)}
        for ahead in horizons:
            made |= _targets(bars, ahead, horizon_name(ahead, interval_ns))
    finite = {
        name: np.where(np.isfinite(values), values, np.nan).astype(np.float32)
        for name, values in made.items()
    }
    return pd.DataFrame({"ts": frame["ts"].to_numpy(), **bars, **finite})


def _features(bars: Mapping[str, Floats]) -> dict[str, Floats]:
    """Everything known at the close of each bar, (rows,) float64 each."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    log_close = np.log(close)
    returns = _change(log_close, 1)
    before = _shifted(close, 1)
    volume = np.log1p(bars["volume"])
    true_range = np.maximum(high, before) - np.minimum(low, before)
    top, bottom = _rolling(high, 20, np.max), _rolling(low, 20, np.min)
    # Parkinson (1980): variance from the range of a bar, sum of ln(high/low)² over 4 ln 2.
    parkinson = np.log(high / low) ** 2 / (4.0 * np.log(2.0))
    made = {f"ret_{span}": _change(log_close, span) for span in (1, 2, 5, 10, 20)}
    made |= {f"vol_{span}": _rolling(returns, span, _deviation) for span in (5, 20, 60)}
    return made | {
        "vol_ratio_5_60": made["vol_5"] / made["vol_60"],
        "range_1": (high - low) / close,
        "range_20": (top - bottom) / close,
        "parkinson_20": np.sqrt(_rolling(parkinson, 20, np.mean)),
        "atr_14": _rolling(true_range, 14, np.mean) / close,
        "volume_z_20": (volume - _rolling(volume, 20, np.mean)) / _rolling(volume, 20, _deviation),
        "volume_change_1": _change(volume, 1),
        "rsi_14": _relative_strength(returns, 14),
        "macd_hist": _macd_histogram(close) / close,
        "dist_mean_10": close / _rolling(close, 10, np.mean) - 1.0,
        "dist_mean_50": close / _rolling(close, 50, np.mean) - 1.0,
        "position_20": (close - bottom) / (top - bottom),
        "close_location": (close - low) / (high - low),
        "gap_1": np.log(bars["open"] / before),
    }


def _targets(bars: Mapping[str, Floats], ahead: int, name: str) -> dict[str, Floats]:
    """Labels over bars t+1 .. t+ahead, (rows,) float64 each, NaN where a bar of these is missing."""
    close = bars["close"]
    highest = _ahead(bars["high"], ahead, np.max)
    lowest = _ahead(bars["low"], ahead, np.min)
    returns = _shifted(close, -ahead) / close - 1.0
    # The barrier grows with the root of time, so its odds do not depend on the horizon.
    sigma = _rolling(_change(np.log(close), 1), SIGMA_BARS, _deviation) * np.sqrt(ahead)
    upper = close * (1.0 + BARRIER_SIGMAS * sigma)
    return {
        f"fwd_ret_{name}": returns,
        f"y_abs_ret_{name}": np.abs(returns),
        f"y_range_{name}": (highest - lowest) / close,
        f"y_mfe_{name}": highest / close - 1.0,
        f"y_mdd_{name}": lowest / close - 1.0,
        f"y_up_{name}": _truth(returns > 0.0, returns),
        f"y_will_peak_{name}_{BARRIER_SIGMAS:.1f}": _truth(highest >= upper, highest + upper),
    }


def _clock(moments: "pd.Series[Any]", interval_ns: int) -> dict[str, Floats]:
    """Where in the week (bars of a day and more) or in the day a bar lies, as points on a circle."""
    if interval_ns >= DAY_NS:
        turn = moments.dt.day_of_week.to_numpy(dtype=np.float64) / 7.0
        name = "weekday"
    else:
        minutes = moments.dt.hour * 60 + moments.dt.minute
        turn = minutes.to_numpy(dtype=np.float64) / 1_440.0
        name = "time_of_day"
    return {f"{name}_sin": np.sin(2.0 * np.pi * turn), f"{name}_cos": np.cos(2.0 * np.pi * turn)}


def _shifted(values: Floats, by: int) -> Floats:
    """The value `by` bars before each bar (after it when negative), NaN beyond the ends."""
    out = np.full(len(values), np.nan)
    if abs(by) < len(values):
        if by >= 0:
            out[by:] = values[: len(values) - by]
        else:
            out[:by] = values[-by:]
    return out


def _change(values: Floats, span: int) -> Floats:
    return values - _shifted(values, span)


def _rolling(values: Floats, span: int, of: Callable[..., Floats]) -> Floats:
    """A function of the last `span` values with the present one, NaN until there are as many."""
    out = np.full(len(values), np.nan)
    if len(values) >= span:
        out[span - 1 :] = of(np.lib.stride_tricks.sliding_window_view(values, span), axis=1)
    return out


def _ahead(values: Floats, span: int, of: Callable[..., Floats]) -> Floats:
    """A function of the next `span` values, the present one excluded, NaN where there are fewer."""
    return _shifted(_rolling(values, span, of), -span)


def _deviation(windows: Floats, axis: int) -> Floats:
    return np.asarray(np.std(windows, axis=axis, ddof=1))


def _relative_strength(returns: Floats, span: int) -> Floats:
    """Share of gains in all movement of the last `span` bars, 0 to 1: Wilder's index with plain means."""
    gains = _rolling(np.maximum(returns, 0.0), span, np.mean)
    moves = _rolling(np.abs(returns), span, np.mean)
    return gains / moves


def _macd_histogram(close: Floats) -> Floats:
    """Appel's MACD 12/26 minus its mean of 9; exponential means that only look back."""
    series = pd.Series(close)
    fast, slow = (series.ewm(span=span, adjust=False, min_periods=26).mean() for span in (12, 26))
    line = fast - slow
    histogram = line - line.ewm(span=9, adjust=False, min_periods=9).mean()
    out: Floats = histogram.to_numpy(dtype=np.float64)
    return out


def _truth(condition: npt.NDArray[np.bool_], known: Floats) -> Floats:
    """1 and 0 where the condition can be told, NaN where `known` is missing."""
    return np.where(np.isfinite(known), condition.astype(np.float64), np.nan)


def _bars(frame: SymbolFrame, data_dir: Path) -> pd.DataFrame:
    """A symbol's frame as label_bars takes it, whatever the case of its column names."""
    found = {name: named_column(frame.columns, (name,)) for name in BARS}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        fix = f"Labelling needs the columns {listed(BARS)}."
        raise BadData(data_dir, f"{frame.symbol} has no column {listed(missing)}", fix)
    adjusted = named_column(frame.columns, ADJUSTED)
    columns = {name: frame.columns[column] for name, column in found.items() if column is not None}
    if adjusted is not None:
        columns["adj_close"] = frame.columns[adjusted]
    return pd.DataFrame({"ts": pd.to_datetime(frame.times, utc=True), **columns})


def _write(frame: pd.DataFrame, folder: Path, symbol: str) -> None:
    """One parquet file, whole or not at all, without anything in it that changes from time to time."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{safe_file_name(symbol)}.parquet"
    part = place.with_name(f".{place.name}.part")
    pq.write_table(table, part, compression="zstd")
    part.replace(place)
