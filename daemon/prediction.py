"""What a saved model predicts for the bars of some data, as columns, as CSV, as NDJSON or as parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.panels import panel_of
from daemon.settings import Settings
from executors.bundle import Bundle, load_bundle
from executors.distributions import Quantiles
from executors.errors import BadInput
from executors.predictions import quantile_name
from panel import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Predictions by symbol and bar; rows of which the model can say nothing are left out.

    Attributes:
        symbols: (rows,) names.
        times: (rows,) int64 nanoseconds UTC.
        columns: name -> (rows,) float32: the prediction or probabilities, then quantiles if asked for.
    """

    symbols: tuple[str, ...]
    times: NDArray[np.int64]
    columns: dict[str, NDArray[np.float32]]

    def csv_lines(self) -> Iterator[str]:
        """Yield a header and a line per row; nine digits, which name a float32."""
        yield ",".join(["symbol", "time", *self.columns])
        for symbol, time, values in self._rows():
            yield ",".join([symbol, time, *(f"{value:.9g}" for value in values)])

    def json_lines(self) -> Iterator[str]:
        """Yield a JSON object per row."""
        for symbol, time, values in self._rows():
            numbers = (float(f"{value:.9g}") for value in values)
            yield json.dumps(
                {"symbol": symbol, "time": time, **dict(zip(self.columns, numbers, strict=True))}
            )

    def write_parquet(self, path: Path) -> None:
        """Write symbol, time (timestamp, UTC) and the columns.

        Raises:
            OSError: the place cannot be written to.
        """
        import pyarrow as pa  # noqa: PLC0415 (0.2 s that only this output pays)
        import pyarrow.parquet as pq  # noqa: PLC0415 (as above)

        times = pa.array(self.times).cast(pa.timestamp("ns", tz="UTC"))
        pq.write_table(pa.table({"symbol": list(self.symbols), "time": times, **self.columns}), path)

    def _rows(self) -> Iterator[tuple[str, str, tuple[np.float32, ...]]]:
        seconds = self.times.astype("datetime64[ns]").astype("datetime64[s]").astype(str)
        table = zip(*self.columns.values(), strict=True)
        for symbol, time, values in zip(self.symbols, seconds, table, strict=True):
            yield symbol, f"{time}Z", values


def forecast(settings: Settings, path: Path, *, last: int | None, quantiles: bool = False) -> Forecast:
    """Predict every bar of the settings' data, or the newest ``last`` of each symbol.

    Raises:
        BundleDamaged: a file of the bundle is not what was written.
        UnknownColumn: the data lacks a feature the model was trained on.
        BadInput: quantiles are asked of a model that gives none.
    """
    bundle = load_bundle(path)
    symbol = bundle.card["symbol"]
    panel = panel_of(settings, symbols=(symbol,) if symbol else None)
    rows = _rows(panel, symbol, last)
    values = bundle.predict(panel, rows)
    table = values.reshape(len(rows), -1)  # (rows, 1 or classes)
    names = column_names(bundle, table.shape[1])
    if quantiles:
        spread = quantiles_of(bundle, panel, rows)
        table = np.hstack([table, spread.values])
        names += [quantile_name(level) for level in spread.levels]
    known = np.isfinite(table).all(axis=1)
    return Forecast(
        symbols=tuple(panel.symbols[code] for code in panel.symbol_codes[rows[known]]),
        times=np.asarray(panel.times[rows[known]]),
        columns={name: np.ascontiguousarray(table[known, place]) for place, name in enumerate(names)},
    )


def prediction_lines(settings: Settings, path: Path, *, last: int | None) -> Iterator[str]:
    """Yield a header and a line per (symbol, bar): symbol, time (ISO, UTC), prediction or probabilities.

    Raises:
        BundleDamaged, UnknownColumn: as `forecast`.
    """
    yield from forecast(settings, path, last=last).csv_lines()


def quantiles_of(bundle: Bundle, panel: Panel, rows: NDArray[np.int64]) -> Quantiles:
    """Return the label's quantiles at the panel rows `rows`; raises BadInput where a model gives none."""
    found = bundle.quantiles(panel, rows)
    if found is None:
        problem = "it predicts no quantiles"
        raise BadInput(f"bundle {bundle.path}", problem, "ask without quantiles, or name a model that does")
    return found


def _rows(panel: Panel, symbol: str | None, last: int | None) -> NDArray[np.int64]:
    """Row indices of the model's symbol (or of all), the newest ``last`` of each."""
    names = (symbol,) if symbol else panel.symbols
    parts = []
    for name in names:
        place = panel.rows_of(name)
        first = place.start if last is None else max(place.start, place.stop - last)
        parts.append(np.arange(first, place.stop, dtype=np.int64))
    return np.concatenate(parts)


def column_names(bundle: Bundle, width: int) -> list[str]:
    """Names of the prediction columns: one value, or one probability per class."""
    if width == 1:
        return ["probability" if bundle.card["task"] == "binary" else "prediction"]
    return [f"probability_{label:g}" for label in bundle.card["classes"]]
