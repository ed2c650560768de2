"""Small data of known content for the tests of the panel: bars, frames with targets, ready panels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from panel.aligned import Panel
from panel.prepare import prepare_panel

DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2020-01-01", tz="UTC")


def bars(rows: int, seed: int = 0, *, step: pd.Timedelta = DAY, start: pd.Timestamp = START) -> pd.DataFrame:
    """A random walk as raw bars: ts, open, high, low, close, volume."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, rows)))
    opened = close * np.exp(rng.normal(0.0, 0.003, rows))
    return pd.DataFrame(
        {
            "ts": pd.date_range(start, periods=rows, freq=step).as_unit("ns"),
            "open": opened,
            "high": np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.01, rows)),
            "low": np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.01, rows)),
            "close": close,
            "volume": rng.integers(1_000, 9_000, rows).astype(np.float64),
        }
    )


def labelled(
    rows: int, seed: int = 0, *, step: pd.Timedelta = DAY, start: pd.Timestamp = START
) -> pd.DataFrame:
    """Two features and two targets (a return 1 day and one 5 days ahead) on a regular grid."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "ts": pd.date_range(start, periods=rows, freq=step).as_unit("ns"),
            "alpha": rng.normal(size=rows),
            "beta": rng.normal(size=rows),
            "fwd_ret_1d": rng.normal(size=rows),
            "y_up_5d": (rng.uniform(size=rows) > 0.5).astype(np.float64),
        }
    )


def write(frames: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Frames by symbol as FOLDER/symbol=X/X.parquet."""
    for symbol, frame in frames.items():
        place = folder / f"symbol={symbol}"
        place.mkdir(parents=True)
        frame.to_parquet(place / f"{symbol}.parquet", index=False)
    return folder


def prepared(frames: Mapping[str, pd.DataFrame], folder: Path, **options: Any) -> Panel:
    """Frames by symbol, written and prepared as a panel under `folder`."""
    data_dir = write(frames, folder / "data")
    return prepare_panel(data_dir, **{"symbols": None, "cache_dir": folder / "cache", **options})


def listed_panel(spans: Sequence[tuple[int, int]], folder: Path) -> Panel:
    """A panel with one symbol per span (first day, days): late listings and early ends."""
    frames = {
        f"S{place}": labelled(days, place, start=START + first * DAY)
        for place, (first, days) in enumerate(spans)
    }
    return prepared(frames, folder)


def same_bits(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    """Whether two arrays are equal bit for bit, missing values and all."""
    return left.dtype == right.dtype and left.tobytes() == right.tobytes()
