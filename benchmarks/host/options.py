"""How much is measured: the quick form for a first look, the full form for figures to quote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.executors.panels import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of one run, and the folder it works in."""

    folder: Path
    drops: int
    small: Size  # a panel whose fit takes a moment
    idle_seconds: float
    fits: int
    large: Size  # a panel whose fits take a second or more
    rounds: int  # of the boosters on it


def options_of(folder: Path, *, quick: bool) -> Options:
    """Return the sizes of the quick or of the full form."""
    return Options(
        folder=folder,
        drops=30 if quick else 200,
        small=Size(symbols=2, bars=400, features=4, targets=1),
        idle_seconds=20.0 if quick else 120.0,
        fits=20 if quick else 50,
        large=Size(symbols=10, bars=4_000, features=20, targets=4),
        rounds=150 if quick else 400,
    )
