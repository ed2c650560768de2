"""Generated panels of the benchmark: a weak linear law in every target, kept on disk once made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from panel import prepare_panel
from panel.aligned import Panel

SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a panel is."""

    symbols: int
    bars: int
    features: int
    targets: int

    @property
    def words(self) -> str:
        """The size as the table says it."""
        return f"{self.symbols} symbols x {self.bars:,} bars x {self.features} features"

    @property
    def name(self) -> str:
        """The size as a folder is named."""
        return f"{self.symbols}x{self.bars}x{self.features}x{self.targets}"


def target_name(number: int) -> str:
    """Return the name of a target: one bar ahead."""
    return f"fwd_ret_{number}_1d"


def make_panel(folder: Path, size: Size) -> Panel:
    """Return the panel of a size in a folder; files that are there are taken again."""
    data = folder / size.name / "data"
    for symbol in range(size.symbols):
        path = data / f"S{symbol:03d}.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _frame(symbol, size).to_parquet(path)
    return prepare_panel(
        data,
        symbols=None,
        cache_dir=folder / size.name / "results" / "cache",
        horizons={target_name(number): 1 for number in range(size.targets)},
    )


def _frame(symbol: int, size: Size) -> pd.DataFrame:
    random = np.random.default_rng([symbol, SEED])
    values = random.standard_normal((size.bars, size.features), dtype=np.float32)
    frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(size.features)])
    frame.insert(0, "date", pd.date_range("1960-01-01", periods=size.bars, freq="D", tz="UTC"))
    for number in range(size.targets):
        law = values[:, number % size.features] - 0.5 * values[:, (number + 1) % size.features]
        frame[target_name(number)] = (0.3 * law + random.standard_normal(size.bars)).astype(np.float32)
    return frame
