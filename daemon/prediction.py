"""Predictions of a saved model as lines of CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.panels import panel_of
from daemon.settings import Settings
from executors.bundle import Bundle, load_bundle
from panel import Panel


def prediction_lines(settings: Settings, path: Path, *, last: int | None) -> Iterator[str]:
    """Yield a header and a line per (symbol, bar): symbol, time (ISO, UTC), prediction or probabilities.

    Rows of which the model can say nothing (a sequence family before its first full window) are left out.

    Raises:
        BundleDamaged: a file of the bundle is not what was written.
        UnknownColumn: the data lacks a feature the model was trained on.
    """
    bundle = load_bundle(path)
    symbol = bundle.card["symbol"]
    panel = panel_of(settings, symbols=(symbol,) if symbol else None)
    rows = _rows(panel, symbol, last)
    values = bundle.predict(panel, rows)
    table = values.reshape(len(rows), -1)  # (rows, 1 or classes)
    yield ",".join(["symbol", "time", *_columns(bundle, table.shape[1])])
    times = panel.times[rows].astype("datetime64[ns]").astype("datetime64[s]").astype(str)
    for place, row in enumerate(rows):
        if np.isfinite(table[place]).all():
            name = panel.symbols[panel.symbol_codes[row]]
            yield ",".join([name, f"{times[place]}Z", *(f"{value:.9g}" for value in table[place])])


def _rows(panel: Panel, symbol: str | None, last: int | None) -> NDArray[np.int64]:
    """Row indices of the model's symbol (or of all), the newest ``last`` of each."""
    names = (symbol,) if symbol else panel.symbols
    parts = []
    for name in names:
        place = panel.rows_of(name)
        first = place.start if last is None else max(place.start, place.stop - last)
        parts.append(np.arange(first, place.stop, dtype=np.int64))
    return np.concatenate(parts)


def _columns(bundle: Bundle, width: int) -> list[str]:
    """Names of the prediction columns: one value, or one probability per class."""
    if width == 1:
        return ["probability" if bundle.card["task"] == "binary" else "prediction"]
    return [f"probability_{label:g}" for label in bundle.card["classes"]]
