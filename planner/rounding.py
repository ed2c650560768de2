"""Numbers cut to six significant digits, so that equal work gives equal bytes."""

import math
from typing import SupportsFloat

import numpy as np
import numpy.typing as npt

DIGITS = 6
_TINY = -290  # as far as powers of ten go; what is smaller loses digits


def rounded(value: SupportsFloat) -> float:
    """Return the value at six significant digits; a number that is not finite becomes 0."""
    number = float(value)
    if not math.isfinite(number) or number == 0.0:
        return 0.0
    return float(f"{number:.{DIGITS}g}")


def rounded_all(values: npt.NDArray[np.float64]) -> list[float]:
    """Return many values, (count,), at six significant digits: what `rounded` gives, but for halves."""
    usable = np.where(np.isfinite(values), values, 0.0)
    digits = np.floor(np.log10(np.abs(usable), out=np.zeros_like(usable), where=usable != 0.0))
    size = np.maximum(digits, _TINY)
    shift = 10.0 ** np.abs(
        DIGITS - 1 - size
    )  # exact as far as it matters, so one quotient is the nearest decimal
    small = size <= DIGITS - 1
    whole = np.rint(np.where(small, usable * shift, usable / shift))
    found: list[float] = np.where(small, whole / shift, whole * shift).tolist()
    return found
