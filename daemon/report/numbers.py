"""Numbers in the report's form: a value with its interval, the event that a line comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from daemon.report.blocks import Cell
from daemon.views.foreign import finite

GOOD, BAD, SOFT, CODE = "good", "bad", "soft", "code"


def signed(value: object) -> str:
    """A score: ``+0.412``; a dash for none."""
    known = finite(value)
    return "-" if known is None else f"{known:+.3f}"


def interval(low: object, high: object) -> str:
    """An interval: ``0.356 to 0.467``; "not known" where an end is missing."""
    first, last = finite(low), finite(high)
    return "not known" if first is None or last is None else f"{first:.3f} to {last:.3f}"


def with_interval(metrics: Mapping[str, Any], name: str, low: str, high: str) -> str:
    """A value of a model's metrics with its 95 % interval: ``+0.412 (0.356 to 0.467)``."""
    within = interval(metrics.get(low), metrics.get(high))
    return f"{signed(metrics.get(name))} ({within})"


def compact(value: object) -> str:
    """A number in few signs: ``0.0432``, ``1.2e-07``, ``1,204``; a dash for none."""
    known = finite(value)
    if known is None:
        return "-"
    if known == int(known) and abs(known) < 1e9:
        return f"{int(known):,}"
    return f"{known:.3g}"


def events(seqs: Collection[int], kind: str) -> str:
    """Where several lines come from: ``events #3 to #9 (TargetRanked)``; "" for none."""
    if not seqs:
        return ""
    first, last = min(seqs), max(seqs)
    return f"event #{first} ({kind})" if first == last else f"events #{first} to #{last} ({kind})"


def event(seq: int | None) -> Cell:
    """Where a line comes from: the number of its event in the log."""
    return Cell(text="-" if seq is None else f"#{seq}", kind=SOFT)


def listed(names: object, limit: int = 8) -> str:
    """The first of some names and how many more there are; whatever is no list, as it is."""
    if not isinstance(names, list | tuple):
        return "all" if names is None else str(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(str(name) for name in names[:limit]) + more
