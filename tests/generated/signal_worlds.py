"""What the small panels are made of: features that are nothing but noise, lasting states, slow series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def features_of(random: np.random.Generator, *, symbols: int, days: int, features: int) -> Floats:
    """Independent normal numbers, (symbols, days, features)."""
    return random.standard_normal((symbols, days, features))


def ar1(random: np.random.Generator, shape: tuple[int, int, int], memory: float) -> Floats:
    """Autoregressive series of variance 1 along the days, (symbols, days, features)."""
    steps = random.standard_normal(shape)
    if memory == 0.0:
        return steps
    made = steps.copy()
    for day in range(1, shape[1]):
        made[:, day] = memory * made[:, day - 1] + np.sqrt(1.0 - memory**2) * steps[:, day]
    return made


def persistent_states(random: np.random.Generator, *, days: int, stay: float) -> Floats:
    """A state of -1 or 1 for each day that stays the next day with probability `stay`, (days,)."""
    turns = np.where(random.random(days) > stay, -1.0, 1.0)
    return np.cumprod(turns)
