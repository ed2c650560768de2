"""Features that say nothing: of every persistence, common to all symbols, alike, heavy-tailed, in steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from generated.world import World, persistent, trailing_mean

_GROUP = 5


def make_fillers(world: World, count: int) -> dict[str, np.ndarray]:
    """`count` features, (symbols, bars) each, of kinds that take turns."""
    kinds = (_white, _quick, _slow, _alike, _market, _white, _tailed, _quick, _slow, _steps, _alike, _clock)
    return {f"filler{place}": kinds[place % len(kinds)](world, place) for place in range(count)}


def make_shadows(
    world: World, drivers: Mapping[str, np.ndarray], count: int
) -> dict[str, tuple[str, np.ndarray]]:
    """Noisy likenesses of true features: tag -> (the true feature's tag, values)."""
    rng = world.rng("shadows")
    made = {}
    for place in rng.permutation(len(drivers))[:count].tolist():
        tag = list(drivers)[place]
        values = drivers[tag]
        alike = rng.uniform(0.6, 0.9)
        noise = world.calm(f"shadow {tag}") * np.float32(np.std(values) * np.sqrt(1 / alike**2 - 1))
        made[f"shadow.{tag}"] = (tag, values + noise)
    return made


def _white(world: World, place: int) -> np.ndarray:
    values = world.calm(f"filler {place}")
    return values * world.wildness if world.clustered else values


def _quick(world: World, place: int) -> np.ndarray:
    values = persistent(world.calm(f"filler {place}"), (0.3, 0.5, 0.7, 0.8, 0.9)[place % 5])
    return values * world.wildness if world.clustered else values


def _slow(world: World, place: int) -> np.ndarray:
    return persistent(world.calm(f"filler {place}"), (0.95, 0.97, 0.98, 0.99)[place % 4])


def _alike(world: World, place: int) -> np.ndarray:
    """Several features around one factor."""
    factor = persistent(world.calm(f"factor {place // (12 * _GROUP)}"), 0.9)
    return np.float32(0.8) * factor + np.float32(0.6) * world.calm(f"filler {place}")


def _market(world: World, place: int) -> np.ndarray:
    """The same number for all symbols at a time."""
    white = world.rng(f"filler {place}").standard_normal(world.shape[1], dtype=np.float32)
    return np.asarray(persistent(white, (0.0, 0.9, 0.97, 0.99)[place // 12 % 4])[world.calendar])


def _tailed(world: World, place: int) -> np.ndarray:
    rng = world.rng(f"filler {place}")
    if place // 12 % 2:
        return np.exp(persistent(world.calm(f"filler {place}"), 0.9))
    return rng.standard_t(3.0, size=world.shape)


def _steps(world: World, place: int) -> np.ndarray:
    """Whole numbers: counts, or a state of few values."""
    values = persistent(world.calm(f"filler {place}"), 0.8)
    return np.floor(values * 3.0) if place // 12 % 2 else (values > 0.5).astype(np.float32)


def _clock(world: World, place: int) -> np.ndarray:
    """The calendar itself, or a smooth indicator over a symbol's own white noise."""
    if place // 12 % 2:
        return trailing_mean(world.calm(f"filler {place}"), 30)
    return np.asarray((world.timestamps // 86_400_000_000_000 % 7).astype(np.float32)[world.calendar])
