"""``make bench-panel``: what opening the memory-mapped panel costs against reading the files again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rounds import measure, print_ratios
from panel import open_panel, prepare_panel

SYMBOLS, BARS, FEATURES = 10, 10_000, 40


def write_files(folder: Path) -> None:
    """Generated symbol files: random features and one target."""
    rng = np.random.default_rng(7)
    times = pd.date_range("2020-01-01", periods=BARS, freq="5min", tz="UTC")
    for number in range(SYMBOLS):
        frame = pd.DataFrame(
            rng.standard_normal((BARS, FEATURES)), columns=[f"f{place:02d}" for place in range(FEATURES)]
        )
        frame.insert(0, "ts", times)
        frame["fwd_ret_10m"] = rng.standard_normal(BARS)
        frame.to_parquet(folder / f"S{number:02d}.parquet", index=False)


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        data, cache = Path(scratch) / "data", Path(scratch) / "cache"
        data.mkdir()
        write_files(data)
        panel = prepare_panel(data, symbols=None, cache_dir=cache)
        names, path = panel.feature_names, panel.path

        def parse() -> float:
            frames = [pd.read_parquet(file) for file in sorted(data.glob("*.parquet"))]
            return float(pd.concat(frames)[list(names)].to_numpy(np.float32).sum())

        def prepare_again() -> float:
            return float(prepare_panel(data, symbols=None, cache_dir=cache).matrix(names).sum())

        def map_pages() -> float:
            return float(open_panel(path).matrix(names).sum())

        timings = measure(
            {
                "pandas: parse all files, one float32 matrix": parse,
                "prepare_panel of unchanged files, same matrix": prepare_again,
                "open_panel, same matrix": map_pages,
            }
        )
        print_ratios(f"{SYMBOLS} symbols x {BARS} bars x {FEATURES} features", timings)


if __name__ == "__main__":
    main()
