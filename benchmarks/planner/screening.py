"""The all-pairs rank screen against the bare arithmetic it rests on: one rank pass and one matrix product.

Both kinds of ranks are compared, within a symbol over time and across the symbols at each timestamp. The bare
side has every value in memory already and knows neither ties, missing values, sessions nor overlap.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.planner.panels import Place
from panel import holdout_from, prepare_panel
from planner.scores import Axis, Channel, axis_of, channels_of, chunks, cross, label_grid, over_time
from planner.screens import screen

Float32s = npt.NDArray[np.float32]
Scorer = Callable[[Axis, Float32s], Float32s]

KINDS: dict[str, Scorer] = {"over time": over_time, "across symbols": cross}
_CHUNK = 40


def compare(folder: str, cache: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """CPU seconds of each round: kind -> side -> rounds; "whole" is the planner's screen with all it does."""
    place = Place(folder=Path(folder))
    panel = prepare_panel(place.data_dir, symbols=None, cache_dir=Path(cache), horizons=place.horizons)
    axis = axis_of(panel, holdout_from(panel))
    channels, features = channels_of(panel, panel.targets), panel.feature_names
    values, labels = axis.grid(features), label_grid(axis, channels)  # (symbols, columns, timestamps)
    found: dict[str, dict[str, list[float]]] = {}
    for kind, scorer in KINDS.items():
        sides: dict[str, Callable[[], object]] = {
            "bare": lambda kind=kind: bare(values, labels, kind),
            "ours": lambda scorer=scorer: ours(axis, features, channels, scorer),
        }
        found[kind] = {side: [] for side in sides}
        for number in range(rounds):
            for side in list(sides)[:: 1 if number % 2 == 0 else -1]:
                found[kind][side].append(_cpu(sides[side]))
    found["whole"] = {"ours": [_cpu(lambda: screen(axis, features, channels))]}
    return found


def bare(values: Float32s, labels: Float32s, kind: str) -> Float32s:
    """One rank pass over features and labels, and the product: (features, channels)."""
    place = 0 if kind == "across symbols" else 2
    x, y = (_ranks(grid, place) for grid in (values, labels))
    return np.asarray(np.sum([one @ other.T for one, other in zip(x, y, strict=True)], axis=0))


def ours(axis: Axis, features: tuple[str, ...], channels: tuple[Channel, ...], scorer: Scorer) -> Float32s:
    """The same from the mapped panel with the planner's scores: (features, channels)."""
    y = scorer(axis, label_grid(axis, channels))
    found = np.empty((len(features), len(channels)), dtype=np.float32)
    for part in chunks(len(features), _CHUNK):
        x = scorer(axis, axis.grid(features[part]))
        found[part] = np.sum([one @ other.T for one, other in zip(x, y, strict=True)], axis=0)
    return found


def _ranks(grid: Float32s, place: int) -> Float32s:
    """Places 0..n-1 along one axis, brought to mean 0 and variance 1."""
    count = grid.shape[place]
    order = np.argsort(grid, axis=place)
    places = (np.arange(count, dtype=np.float32) - (count - 1) / 2.0) / np.sqrt((count**2 - 1) / 12.0)
    shape = [1, 1, 1]
    shape[place] = count
    ranks = np.empty(grid.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, places.astype(np.float32).reshape(shape), axis=place)
    return ranks


def _cpu(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started
