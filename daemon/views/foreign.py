"""What a plan that was made elsewhere may hold in any place: taken where it is of its kind, else left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(value: object) -> float | None:
    """The value as a number, None for whatever is none, or too large to be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list, of one text that text; nothing for whatever is neither."""
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
