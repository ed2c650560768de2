"""Order statistics of rows no model has seen, by which quantiles come true as often as they say.

Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., JASA 2018.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def conformal_quantile(values: NDArray[np.float64], level: float) -> float:
    """Return the ceil(level (rows + 1))-th smallest of `values` (rows,), the largest where there is no such.

    The value of a new row that is exchangeable with these lies at or below it with a probability in [level,
    level + 1 / (rows + 1)].
    """
    place = min(len(values), math.ceil(level * (len(values) + 1))) - 1
    return float(np.sort(values)[place])
