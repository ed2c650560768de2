"""How much is measured: the quick form for a first look, the full form for figures to quote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.executors.panels import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of one run, and the folder where its panels lie."""

    folder: Path
    quick: bool
    long: Size  # of fits of several seconds
    long_rounds: int
    small: Size  # of fits of about a fifth of a second
    small_rounds: int
    small_fits: int
    wide: Size  # mapped by several children at once
    children: tuple[int, ...]
    rounds: int


def options_of(folder: Path, *, quick: bool) -> Options:
    """Return the sizes of the quick or of the full form."""
    return Options(
        folder=folder,
        quick=quick,
        long=Size(symbols=20, bars=5_000, features=50, targets=2 if quick else 4),
        long_rounds=400,
        small=Size(symbols=20, bars=1_000, features=10, targets=10),
        small_rounds=270,
        small_fits=40 if quick else 200,
        wide=Size(symbols=20, bars=5_000 if quick else 20_000, features=200, targets=4),
        children=(1, 2, 4),
        rounds=1 if quick else 3,
    )
