"""Numbers cut to six significant digits, so that equal work gives equal bytes."""

import math
from typing import SupportsFloat

DIGITS = 6


def rounded(value: SupportsFloat) -> float:
    """Return the value at six significant digits; a number that is not finite becomes 0."""
    number = float(value)
    if not math.isfinite(number) or number == 0.0:
        return 0.0
    return float(f"{number:.{DIGITS}g}")
