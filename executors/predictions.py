"""The table of a bundle's test predictions: parquet, or CSV with a loud warning where parquet fails."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.dataset import FitData
from executors.distributions import Quantiles

PARQUET = "predictions.parquet"
CSV = "predictions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Test rows with what was predicted and what came true, in the panel's order.

    Attributes:
        symbol: (rows,) names.
        time: (rows,) int64 nanoseconds UTC.
        label: (rows,) float32, as the data has it.
        prediction: (rows,) float32: value, probability of the larger class, or the likeliest class.
        probabilities: (rows, classes) float32 of a multiclass target, else (rows, 0).
        levels: of the quantiles, ascending; empty for a family that gives none.
        quantiles: (rows, levels) float32 in the label's unit.
    """

    symbol: tuple[str, ...]
    time: NDArray[np.int64]
    label: NDArray[np.float32]
    prediction: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    levels: tuple[float, ...]
    quantiles: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.float32]:
        """What the model answered, as `Bundle.predict` gives it: (rows,) or (rows, classes)."""
        return self.probabilities if self.probabilities.shape[1] else self.prediction


def table_of(
    data: FitData, prediction: NDArray[np.float32], quantiles: Quantiles | None = None
) -> Predictions:
    """Return the table of the fit's test rows for `prediction`, (rows,) or (rows, classes)."""
    rows = data.test
    classes = np.array(data.code.classes, dtype=np.float32)
    is_multiclass = prediction.ndim == 2
    return Predictions(
        symbol=tuple(data.panel.symbols[code] for code in data.panel.symbol_codes[rows]),
        time=np.asarray(data.panel.times[rows]),
        label=data.labels_at(rows),
        prediction=classes[prediction.argmax(axis=1)] if is_multiclass else prediction,
        probabilities=prediction if is_multiclass else np.zeros((len(rows), 0), dtype=np.float32),
        levels=quantiles.levels if quantiles else (),
        quantiles=quantiles.values if quantiles else np.zeros((len(rows), 0), dtype=np.float32),
    )


def quantile_name(level: float) -> str:
    """Return the name of the column of one quantile, such as quantile_0.05."""
    return f"quantile_{level:g}"


def to_file(table: Predictions) -> tuple[str, bytes]:
    """Return (file name, content) of `table`: parquet, CSV where pyarrow cannot write it."""
    columns = _columns(table)
    try:
        return PARQUET, _parquet(columns)
    except (ImportError, OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors or OSErrors
        sys.stderr.write(f"WARNING: parquet cannot be written ({error}); predictions are in {CSV} instead\n")
        return CSV, _csv(columns)


def from_files(files: Mapping[str, bytes]) -> Predictions:
    """Return the table from a bundle's files, whichever form it has there."""
    columns = _from_parquet(files[PARQUET]) if PARQUET in files else _from_csv(files[CSV])
    named = sorted((name for name in columns if name.startswith("probability_")), key=_place)
    levels = sorted(float(name.rsplit("_", 1)[1]) for name in columns if name.startswith("quantile_"))
    count = len(columns["symbol"])
    return Predictions(
        symbol=tuple(str(name) for name in columns["symbol"]),
        time=np.asarray(columns["time"], dtype=np.int64),
        label=np.asarray(columns["label"], dtype=np.float32),
        prediction=np.asarray(columns["prediction"], dtype=np.float32),
        probabilities=_beside([columns[name] for name in named], count),
        levels=tuple(levels),
        quantiles=_beside([columns[quantile_name(level)] for level in levels], count),
    )


def _beside(columns: list[Any], count: int) -> NDArray[np.float32]:
    """Return columns as one array, (rows, columns) float32."""
    return np.ascontiguousarray(np.array(columns, dtype=np.float32).reshape(-1, count).T)


def _place(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def _columns(table: Predictions) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "symbol": list(table.symbol),
        "time": table.time,
        "label": table.label,
        "prediction": table.prediction,
    }
    for place in range(table.probabilities.shape[1]):
        columns[f"probability_{place}"] = np.ascontiguousarray(table.probabilities[:, place])
    for place, level in enumerate(table.levels):
        columns[quantile_name(level)] = np.ascontiguousarray(table.quantiles[:, place])
    return columns


def _parquet(columns: Mapping[str, Any]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 -- the seam: 0.2 s that only a finished fit pays
    import pyarrow.parquet as pq  # noqa: PLC0415 -- as above

    arrays = {name: pa.array(values) for name, values in columns.items()}
    arrays["time"] = arrays["time"].cast(pa.timestamp("ns", tz="UTC"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return bytes(sink.getvalue())


def _csv(columns: Mapping[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    plain = [values if isinstance(values, list) else values.tolist() for values in columns.values()]
    writer.writerows(zip(*plain, strict=True))
    return text.getvalue().encode()


def _from_parquet(content: bytes) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415 -- the seam, as in _parquet
    import pyarrow.parquet as pq  # noqa: PLC0415 -- as above

    table = pq.read_table(pa.BufferReader(content))
    times = table.column("time").cast(pa.int64())
    columns = {name: table.column(name).to_pylist() for name in table.column_names if name != "time"}
    return {**columns, "time": times.to_numpy()}


def _from_csv(content: bytes) -> dict[str, Any]:
    header, *rows = csv.reader(io.StringIO(content.decode()))
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}
