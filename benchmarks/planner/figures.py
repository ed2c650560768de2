"""One line of the table, and how a bar is held against it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.store.figures import verdict

HEADS = ("what", "the other way", "ours", "ratio", "bar", "reached")
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table; without a bar it is for the reader only."""

    what: str
    other: str = ""
    ours: str = ""
    ratio: str = ""
    bar: str = ""
    reached: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's words, in the order of the heads."""
        return (self.what, self.other, self.ours, self.ratio, self.bar, self.reached)


def times_less(what: str, other: float, ours: float, *, bar: float | None, words: str) -> Figure:
    """The row of CPU seconds that shall be at least `bar` times less than the other way's."""
    return Figure(
        what=what,
        other=f"{other:,.0f} s{words}",
        ours=f"{ours:,.1f} s",
        ratio=f"{other / ours:.1f} times less",
        bar="" if bar is None else f">= {bar:g}",
        reached="" if bar is None else verdict(other / ours >= bar),
    )


def share_of(what: str, other: float, ours: float, *, bar: float | None) -> Figure:
    """The row of bytes that shall be at most a share `bar` of the other way's."""
    return Figure(
        what=what,
        other=f"{other / MIB:,.0f} MiB",
        ours=f"{ours / MIB:,.0f} MiB",
        ratio=f"{ours / other:.2f}",
        bar="" if bar is None else f"<= {bar:g}",
        reached="" if bar is None else verdict(ours <= bar * other),
    )


def at_most(what: str, seconds: float, bar: float | None, *, unit: str = "CPU s", note: str = "") -> Figure:
    """The row of a time with a limit, or of one for the reader only."""
    return Figure(
        what=what,
        other=note,
        ours=f"{seconds:.2f} {unit}",
        bar="" if bar is None else f"<= {bar:g} {unit}",
        reached="" if bar is None else verdict(seconds <= bar),
    )


def within(what: str, bare: Sequence[float], ours: Sequence[float], *, bar: float) -> Figure:
    """The row of two sides measured in the same rounds: the median of their ratios, and its spread."""
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    middle = statistics.median(ratios)
    return Figure(
        what=what,
        other=f"{statistics.median(bare):.2f} s",
        ours=f"{statistics.median(ours):.2f} s",
        ratio=f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        bar=f"<= {bar:g}",
        reached=verdict(middle <= bar),
    )
