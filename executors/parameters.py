"""Settings of a family: which there are, what they may be, and what the plan says about them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from executors.errors import BadInput

Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One setting: its default (whose type it has) and the bounds it must keep, both inclusive."""

    default: Number
    low: Number
    high: Number


def one_row(params: Mapping[str, Number]) -> int:
    """Return 1: how many rows of a symbol a prediction looks at that is made from the row itself.

    What a family knows of the bars before, such as a filter's state, is no window.
    """
    del params
    return 1


def settings(family: str, table: Mapping[str, Parameter], given: Mapping[str, object]) -> dict[str, Number]:
    """Return every setting of `family`: what is `given`, defaults for the rest, in the order of `table`.

    Raises:
        BadInput: an unknown name (with the nearest known one), a value of another type or out of bounds.
    """
    for name in given:
        if name not in table:
            close = difflib.get_close_matches(name, table, n=1, cutoff=0.4)
            fix = f"did you mean {close[0]}?" if close else f"known are {', '.join(table)}"
            raise BadInput(f"parameter {name} of {family}", "no such parameter", fix)
    return {
        name: _checked(family, name, parameter, given.get(name, parameter.default))
        for name, parameter in table.items()
    }


def _checked(family: str, name: str, parameter: Parameter, value: object) -> Number:
    whole = isinstance(parameter.default, int)
    kind = "a whole number" if whole else "a number"
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    bounds = f"give {kind} from {parameter.low} to {parameter.high}"
    if not fits or isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"parameter {name} of {family}", f"{value!r} is not {kind}", bounds)
    if not parameter.low <= value <= parameter.high:
        raise BadInput(f"parameter {name} of {family}", f"{value!r} is out of bounds", bounds)
    return value if whole else float(value)
