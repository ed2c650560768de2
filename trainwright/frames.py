"""Predictions of a saved model for a DataFrame. Loads pandas and, with the first prediction, the library."""

from __future__ import annotations

import numpy as np
import pandas as pd

from daemon.prediction import column_names, quantiles_of
from executors.bundle import Bundle
from executors.predictions import quantile_name
from panel.in_memory import MemoryPanel, panel_of_frame


def predicted(bundle: Bundle, bars: pd.DataFrame, *, quantiles: bool) -> pd.DataFrame:
    """Return the predictions of a bundle for each bar; `Model.predict` says more.

    Raises:
        UnknownColumn, BadData, BadInput: as there.
    """
    symbol = bundle.card["symbol"]
    panel = panel_of_frame(bars, symbol=symbol)
    rows = _rows(panel, symbol)
    values = bundle.predict(panel, rows).reshape(len(rows), -1)  # (rows, 1 or classes)
    names = column_names(bundle, values.shape[1])
    if quantiles:
        spread = quantiles_of(bundle, panel, rows)
        values = np.hstack([values, spread.values])
        names += [quantile_name(level) for level in spread.levels]
    told = np.full((len(bars), len(names)), np.nan, dtype=np.float32)
    told[panel.places[rows]] = values
    return pd.DataFrame(told, index=bars.index, columns=names)


def _rows(panel: MemoryPanel, symbol: str | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The rows that are asked of the model: of its symbol, or all."""
    own = panel.rows_of(symbol) if symbol else slice(0, panel.rows)
    return np.arange(own.start, own.stop, dtype=np.int64)
