"""How much is measured: the quick form for a first look, the full form for figures to quote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.planner.panels import KINDS, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of one run, and the folder where its panels lie."""

    folder: Path
    quick: bool
    large: Size  # planned, screened, planned again
    usual: Size  # the whole screen
    small: Size  # planned both ways in whole, to compare what is found
    naive_folds: tuple[int, ...]  # folds of the large panel measured the naive way
    candidates: int
    rounds: int


def options_of(folder: Path, *, quick: bool) -> Options:
    """Return the sizes of the quick or of the full form."""
    if quick:
        return Options(
            folder=folder, quick=True,
            large=Size(symbols=6, bars=3_000, features=80, kinds=KINDS[:6]),
            usual=Size(symbols=6, bars=2_000, features=80, kinds=None),
            small=Size(symbols=6, bars=1_500, features=40, kinds=("strong_linear", "short_noise"), leaks=()),
            naive_folds=(0, 3), candidates=10_000, rounds=1,
        )  # fmt: skip
    return Options(
        folder=folder, quick=False,
        large=Size(symbols=20, bars=20_000, features=200),
        usual=Size(symbols=12, bars=8_000, features=120, kinds=None),
        small=Size(symbols=8, bars=3_000, features=60, leaks=()),
        naive_folds=(0, 3), candidates=100_000, rounds=3,
    )  # fmt: skip
