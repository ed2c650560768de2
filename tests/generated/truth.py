"""What is true of a generated panel, and the skill the true conditional mean itself has on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from generated.world import Floats, World

CROSS_SECTIONAL, SYMBOL_SPECIFIC, BOTH, BLOCKED = "CROSS_SECTIONAL", "SYMBOL_SPECIFIC", "BOTH", "BLOCKED"
TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTruth:
    """One target. `route` is the right one, `own_symbols` are those that deserve a model of their own.

    `oracle_ic` is the mean over timestamps of the rank correlation over symbols between the true conditional
    mean and the label, on the rows before the final fifth; `oracle_by_symbol` the rank correlation in time.
    `planted_ic` is the Pearson correlation that was solved for (of the own laws for symbol_only).
    """

    name: str
    kind: str
    task: str
    horizon_bars: int
    predictable: bool
    route: str
    planted_ic: float | None
    oracle_ic: float | None
    oracle_by_symbol: Mapping[str, float]
    own_symbols: tuple[str, ...]
    features: tuple[str, ...]  # of the law of all symbols
    features_by_symbol: Mapping[str, tuple[str, ...]]  # of the symbols' own laws


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakTruth:
    """One leaking feature: `target` is what it was made from, `also` the targets of the same stream."""

    feature: str
    kind: str
    target: str
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All that is true of one panel. A (feature, target) pair that is in no leak is safe."""

    seed: int
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    targets: tuple[TargetTruth, ...]
    leaks: tuple[LeakTruth, ...]
    shadows: Mapping[str, str]  # feature -> the true feature it resembles
    legal_lags: Mapping[str, str]  # feature -> the target whose own past it is

    @property
    def horizons(self) -> dict[str, int]:
        """Bars ahead of every target, as `[data] horizons` wants them."""
        return {target.name: target.horizon_bars for target in self.targets}

    def target(self, name: str) -> TargetTruth:
        """The truth of one target."""
        return next(target for target in self.targets if target.name == name)

    def of_kind(self, kind: str) -> tuple[TargetTruth, ...]:
        """The targets of one kind."""
        return tuple(target for target in self.targets if target.kind == kind)

    def leaked(self) -> frozenset[tuple[str, str]]:
        """Every (feature, target) of which the feature knows the future."""
        return frozenset((leak.feature, name) for leak in self.leaks for name in (leak.target, *leak.also))


def oracle_ic(world: World, expected: Floats, label: Floats) -> float | None:
    """Mean over timestamps before the final fifth of the rank correlation over at least three symbols."""
    until = len(world.timestamps) - round(TEST_SHARE * len(world.timestamps))
    seen = world.listed & np.isfinite(expected) & np.isfinite(label) & (world.calendar < until)
    grids = [np.full((len(world.timestamps), len(world.symbols)), np.nan) for _ in range(2)]
    for place in range(len(world.symbols)):
        for grid, values in zip(grids, (expected, label), strict=True):
            grid[world.calendar[place, seen[place]], place] = values[place, seen[place]]
    one, other = (_row_scores(grid[np.isfinite(grids[0]).sum(axis=1) >= 3]) for grid in grids)
    usable = (np.abs(one).sum(axis=1) > 0) & (np.abs(other).sum(axis=1) > 0)
    return float((one * other).sum(axis=1)[usable].mean()) if usable.any() else None


def _row_scores(grid: Floats) -> Floats:
    """Average ranks along each row, centred, of length one; missing values and constant rows are zeros."""
    known = np.isfinite(grid)
    filled = np.where(known, grid, np.inf)
    below = (filled[:, None, :] < filled[:, :, None]).sum(axis=2)
    equal = (filled[:, None, :] == filled[:, :, None]).sum(axis=2)
    ranks = np.where(known, below + (equal + 1) / 2.0, 0.0)
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, ranks - ranks.sum(axis=1, keepdims=True) / counts, 0.0)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9))


def oracle_by_symbol(world: World, expected: Floats, label: Floats) -> dict[str, float]:
    """Rank correlation in time of each symbol, rows before the final fifth; symbols without any left out."""
    until = len(world.timestamps) - round(TEST_SHARE * len(world.timestamps))
    found = {}
    for place, symbol in enumerate(world.symbols):
        own = world.own(place)
        one, other = expected[place, own], label[place, own]
        seen = np.isfinite(one) & np.isfinite(other) & (world.calendar[place, own] < until)
        if seen.sum() > 2 and np.ptp(one[seen]) > 0 and np.ptp(other[seen]) > 0:
            scores = [_row_ranks(values[seen]) for values in (one, other)]
            found[symbol] = round(float(np.corrcoef(*scores)[0, 1]), 5)
    return found


def _row_ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[place.reshape(-1)])
