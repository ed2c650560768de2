"""Generated data for the tests of executors: planted signals and pure noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from panel.aligned import Panel
from panel.prepare import prepare_panel

FEATURES = 8
DAYS = 500
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


def symbol_frame(symbol: str, place: int, *, days: int = DAYS, features: int = FEATURES) -> pd.DataFrame:
    """One symbol's bars: features f0.., a planted target of each task, and targets of pure noise."""
    random = np.random.default_rng([place, 20])
    values = random.standard_normal((days, features)).astype(np.float32)
    frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(features)])
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=days, freq="B", tz="UTC"))
    signal = 0.5 * frame["f0"] - 0.4 * np.abs(frame["f1"]) + 0.3 * frame["f2"].shift(1).fillna(0.0)
    noise = random.standard_normal(days)
    frame["fwd_ret_1d"] = (0.01 * (signal + noise)).astype(np.float32)
    frame["y_noise_1d"] = (0.01 * random.standard_normal(days)).astype(np.float32)
    frame["y_up_1d"] = (frame["fwd_ret_1d"] > -0.003).astype(np.float32)
    frame["y_class_1d"] = np.digitize(frame["fwd_ret_1d"], [-0.008, 0.004]).astype(np.float32)
    frame.loc[random.random(days) < 0.05, "f3"] = np.nan
    frame.loc[:9, "y_noise_1d"] = np.nan
    del symbol
    return frame


def write_panel(directory: Path, frames: dict[str, pd.DataFrame], **options: Any) -> Panel:
    """Write one parquet file a symbol and prepare the panel from them."""
    data = directory / "data"
    for symbol, frame in frames.items():
        (data / f"symbol={symbol}").mkdir(parents=True)
        frame.to_parquet(data / f"symbol={symbol}" / f"{symbol}.parquet")
    return prepare_panel(data, symbols=None, cache_dir=directory / "cache", **options)
