"""The data of the demonstration: real daily bars, and two plants that the planner has to find by itself.

The bars come with the package ``bokeh_sampledata`` (public domain): AAPL, FB, GOOG, IBM and MSFT from 2000 to
2013. Both plants carry the word ``planted`` in their names; nothing in the pipeline knows that word.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bokeh_sampledata import package_path

from daemon.errors import DaemonError
from panel import LabelSummary, label_directory

PLANTED_TARGET = "y_planted_noise_5d"
PLANTED_FEATURE = "planted_leak"
LEAKING_TARGET = "fwd_ret_5d"
MARK = ".trainwright-demo"  # a folder with this file is ours to write into
LEAK_NOISE = 0.3  # standard deviations of noise on the leak: no copy, yet it knows the future


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What was taken from the package."""

    symbols: tuple[str, ...]
    rows: int
    first: str
    last: str


class NotOurFolder(DaemonError):
    """The folder holds something the demonstration did not put there."""

    exit_code = 2

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "the demonstration writes only into a folder that is new, empty or its own",
            where=str(folder),
            fix="name another one: trainwright demo --dir FOLDER",
        )


def claim_folder(folder: Path) -> None:
    """Make the folder, or take it again when an earlier demonstration made it; nothing else is ever touched.

    Raises:
        NotOurFolder: it holds files of somebody else.
    """
    mark = folder / MARK
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        raise NotOurFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text("made by trainwright demo; may be removed as a whole\n", encoding="utf-8")


def write_bars(folder: Path) -> Bars:
    """Write one CSV per symbol with bars adjusted for splits and dividends.

    The package gives raw prices and an adjusted close; a split would otherwise look like a crash.
    """
    raw = pd.read_csv(package_path("stocks.csv.gz"))
    ratio = raw["Adj Close"] / raw["Close"]
    bars = pd.DataFrame({"date": raw["Date"], "symbol": raw["Ticker"]})
    for name in ("Open", "High", "Low", "Close"):
        bars[name.lower()] = raw[name] * ratio
    bars["volume"] = raw["Volume"] / ratio
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for symbol, rows in bars.groupby("symbol", sort=True):
        rows.drop(columns="symbol").to_csv(folder / f"{symbol}.csv", index=False)
    return Bars(
        symbols=tuple(sorted(bars["symbol"].unique())),
        rows=len(bars),
        first=str(bars["date"].min()),
        last=str(bars["date"].max()),
    )


def label_bars_with_plants(raw: Path, labelled: Path, *, seed: int) -> LabelSummary:
    """Label the bars, then add a target of pure noise and a feature that knows the next five days."""
    shutil.rmtree(labelled, ignore_errors=True)
    summary = label_directory(raw, labelled)
    for place, path in enumerate(sorted(labelled.rglob("*.parquet"))):
        rng = np.random.default_rng([seed, place])
        frame = pd.read_parquet(path)
        future = frame[LEAKING_TARGET].to_numpy(np.float64)
        noise = rng.standard_normal((2, len(frame)))
        frame[PLANTED_TARGET] = np.where(np.isfinite(future), noise[0], np.nan)
        frame[PLANTED_FEATURE] = future / np.nanstd(future) + LEAK_NOISE * noise[1]
        frame.to_parquet(path, index=False, compression="zstd")
    return summary
