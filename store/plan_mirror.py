"""The mirror beside a master plan: what it says differently, lest somebody edits what is not read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from store.errors import PlanRejected
from store.plan_document import MASTER, MIRROR, parse_plan_text, plan_file
from store.plan_input import place_of

_MISSING = object()


def mirror_warning(path: Path) -> str | None:
    """Return a sentence naming the first place where the mirror differs from the master of a directory.

    None when they say the same, or when one of them is not there. The master is what counts in any case.

    Raises:
        PlanRejected: there is no plan at all, or the master is broken.
    """
    master = path if path.is_file() else plan_file(path)
    mirror = master.with_name(MIRROR)
    if master.name != MASTER or not mirror.is_file():
        return None
    one, other = master.read_bytes(), mirror.read_bytes()
    if one == other:
        return None
    said = f"{mirror} differs from {MASTER}, which alone is read"
    truth = parse_plan_text(one, source=str(master))
    try:
        copy = parse_plan_text(other, source=str(mirror))
    except PlanRejected as broken:
        return f"{said}: {broken.sentence}"
    place = next(_differences(truth, copy, ()), None)
    if place is None:
        return None  # laid out in another way
    return f"{said}: first in {place_of(place)}"


def _differences(
    one: Any,  # noqa: ANN401 - any value of a document
    other: Any,  # noqa: ANN401
    place: tuple[int | str, ...],
) -> Iterator[tuple[int | str, ...]]:
    """Yield the places where two documents differ, in the order of the first."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from _differences(one.get(key, _MISSING), other.get(key, _MISSING), (*place, key))
    elif isinstance(one, list) and isinstance(other, list):
        for number, (left, right) in enumerate(zip_longest(one, other, fillvalue=_MISSING)):
            yield from _differences(left, right, (*place, number))
    elif one != other:
        yield place
