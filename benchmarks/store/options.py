"""How much is measured: the quick form for a first look, the full form for figures to quote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.store.cluster import sqlite_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Counts of one run, and the folder where its databases lie."""

    folder: Path
    quick: bool
    rounds: int
    appends: int
    fits: int
    batched_fits: int
    finished_fits: int
    replayed_events: int
    plan_jobs: int
    pickups: int
    kills: int
    idle_seconds: float

    def sqlite_store(self) -> str:
        """Return the address of a fresh SQLite store."""
        return sqlite_store(self.folder)


def options_of(folder: Path, *, quick: bool) -> Options:
    """Return the counts of the quick or of the full form."""
    if quick:
        return Options(
            folder=folder, quick=True, rounds=3, appends=300, fits=150, batched_fits=1000,
            finished_fits=100_000, replayed_events=100_000, plan_jobs=20_000, pickups=60, kills=4,
            idle_seconds=4.0,
        )  # fmt: skip
    return Options(
        folder=folder, quick=False, rounds=5, appends=1000, fits=400, batched_fits=4000,
        finished_fits=1_000_000, replayed_events=1_000_000, plan_jobs=100_000, pickups=250, kills=12,
        idle_seconds=10.0,
    )  # fmt: skip
