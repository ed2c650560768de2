"""Scores beside each other: bars, models against their baseline, ranked targets, periods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daemon.pictures.drawing import (
    NOTHING,
    Scale,
    element,
    figure,
    finite,
    legible,
    line,
    linked,
    picture,
    scale_over,
    titled,
    words,
)

NORMAL_95 = 1.96
_WIDTH = 640.0
_ROW = 20.0
_LABELS, _SIGNS = 196.0, 27  # the most room for the labels of rows, and how many signs fit into it
_LEAST_LABELS = 60.0
_FIGURES = 170.0  # the room for a row's numbers, at the right


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One score with its 95 % interval, as far as they are known.

    `kind` is how it is drawn: "model" and "kept" filled, "dropped" hollow, "baseline" a diamond, "blocked" a
    cross. `note` is told when it is pointed at; `href` leads from the label to a place of the same site.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    kind: str = "model"
    note: str = ""
    href: str = ""

    @classmethod
    def around(cls, label: str, value: float | None, error: float | None, *, kind: str = "model") -> Estimate:
        """A score and its standard error as an estimate with the interval of 95 %."""
        if value is None or error is None:
            return cls(label=label, value=value, kind=kind)
        away = NORMAL_95 * error
        return cls(label=label, value=value, low=value - away, high=value + away, kind=kind)


def bars(
    rows: Sequence[tuple[str, float | None, float | None]], *, label: str = "values", limit: int = 30
) -> Markup:
    """A bar for each (label, value, error or None), the number beside it; how many more there are, below."""
    shown = rows[:limit]
    if not any(finite(value) is not None for _, value, _ in shown):
        return NOTHING
    labels = _room(name for name, _, _ in shown)
    width = _WIDTH - _LABELS + labels
    ends = [end for _, value, error in shown for end in _reach(value, error)]
    across = scale_over([0.0, *ends], labels + 8, width - 70, edge=0.0)
    parts = []
    for place, (name, value, error) in enumerate(shown):
        y = 4 + place * _ROW
        parts.append(words(labels, y + 14, name, kind="end", limit=_SIGNS))
        parts += _bar(name, value, error, across, y)
    zero = across.at(0.0)
    parts.append(line(zero, 2, zero, 4 + len(shown) * _ROW, "axis"))
    bottom = 8 + len(shown) * _ROW
    if len(rows) > limit:
        parts.append(words(across.start, bottom + 10, f"and {len(rows) - limit:,} more", kind="soft small"))
        bottom += 16
    told = ", ".join(f"{name} {figure(value)}" for name, value, _ in shown[:5])
    return picture("bars", (width, bottom), f"{label}: {told}", parts)


def forest(
    rows: Sequence[Estimate],
    *,
    reference: float | None = 0.0,
    reference_label: str = "baseline",
    label: str = "models against the baseline",
) -> Markup:
    """Estimates below each other with their intervals, and the line that they must clear.

    One whose interval does not clear the line is drawn hollow: the shape says what the colour says.
    """
    if not any(finite(row.value) is not None for row in rows):
        return NOTHING
    ends = [end for row in rows for end in (row.low, row.value, row.high)]
    labels = _room(row.label for row in rows)
    width = _WIDTH - _LABELS + labels
    across = scale_over([*ends, reference], labels + 12, width - _FIGURES)
    top = 22.0 if reference is not None else 4.0
    bottom = top + len(rows) * _ROW
    parts = _frame(across, top, bottom)
    line_at = finite(reference)
    if line_at is not None:
        x = across.at(line_at)
        parts += [line(x, top - 4, x, bottom, "mark")]
        parts += [words(x, 13, f"{reference_label} {figure(line_at)}", kind="mid small soft")]
    for place, row in enumerate(rows):
        parts.append(_estimate(row, across, top + place * _ROW + _ROW / 2, line_at))
    clear = sum(_clears(row, line_at) for row in rows)
    told = f"{label}: {len(rows)} rows, {clear} clear {reference_label}"
    return picture("forest", (width, bottom + 20), told, parts)


def ranking(
    rows: Sequence[Estimate],
    *,
    reference: float | None = 0.0,
    reference_label: str = "no skill",
    label: str = "targets ranked",
) -> Markup:
    """Targets in the order of their rank with their intervals: those that are kept are filled.

    What decides is the planner's verdict, the `kind` of each row, not where its interval lies.
    """
    return forest(rows, reference=reference, reference_label=reference_label, label=label)


def periods(
    rows: Sequence[Estimate], *, reference: float | None = 0.0, label: str = "score by period"
) -> Markup:
    """The score of each period, oldest first, with its interval; those below the line are hollow."""
    if not any(finite(row.value) is not None for row in rows):
        return NOTHING
    left, right, top, bottom = 52.0, 548.0, 10.0, 150.0
    up = scale_over(
        [end for row in rows for end in (row.low, row.value, row.high)] + [reference], bottom, top
    )
    step = (right - left) / len(rows)
    parts: list[Markup] = []
    for value in up.ticks():
        parts += [line(left, up.at(value), right, up.at(value), "grid")]
        parts += [words(left - 6, up.at(value) + 4, up.told(value), kind="soft end small")]
    line_at = finite(reference)
    if line_at is not None:
        parts.append(line(left, up.at(line_at), right, up.at(line_at), "mark"))
    every = -(-len(rows) * 76 // int(right - left))  # labels that do not touch each other
    for place, row in enumerate(rows):
        x = left + (place + 0.5) * step
        parts.append(_period(row, x, up, line_at))
        if place % every == 0:
            parts.append(words(x, bottom + 17, row.label, kind="soft mid small", limit=11))
    below = sum(row.value is not None and line_at is not None and row.value <= line_at for row in rows)
    told = f"{label}: {len(rows)} periods, {below} of them not above the line"
    return picture("periods", (560.0, bottom + 26), told, parts)


def _room(labels: Iterable[str]) -> float:
    """How wide the column of these labels is."""
    longest = max((min(len(legible(label)), _SIGNS) for label in labels), default=0)
    return max(_LEAST_LABELS, min(_LABELS, 7.4 * longest + 4))


def _reach(value: float | None, error: float | None) -> tuple[float, ...]:
    if value is None or error is None:
        return () if value is None else (value,)
    return (value - error, value + error)


def _bar(name: str, value: float | None, error: float | None, across: Scale, y: float) -> list[Markup]:
    known = finite(value)
    if known is None:
        return [words(across.at(0.0) + 6, y + 14, "not known", kind="soft small")]
    first, last = sorted((across.at(0.0), across.at(known)))
    told = f"{name}: {figure(known)}" + (f" ± {figure(error)}" if error is not None else "")
    drawn = element("rect", x=first, y=y + 3, width=max(1.0, last - first), height=13, class_="f1")
    found = [titled(drawn, told)]
    spread = finite(error)
    if spread:
        low, high = across.at(known - spread), across.at(known + spread)
        found.append(line(low, y + 9.5, high, y + 9.5, "whisker"))
        last = max(last, high)
    found.append(words(last + 5, y + 14, figure(known), kind="small"))
    return found


def _frame(across: Scale, top: float, bottom: float) -> list[Markup]:
    parts = []
    for value in across.ticks():
        x = across.at(value)
        parts += [
            line(x, top, x, bottom, "grid"),
            words(x, bottom + 15, across.told(value), kind="soft mid small"),
        ]
    return parts


def _clears(row: Estimate, reference: float | None) -> bool:
    low = finite(row.low)
    return low is not None and reference is not None and low > reference


def _estimate(row: Estimate, across: Scale, y: float, reference: float | None) -> Markup:
    """One row: its label, its mark on its interval, its numbers."""
    value, low, high = finite(row.value), finite(row.low), finite(row.high)
    filled = row.kind == "kept" or (row.kind == "model" and _clears(row, reference))
    parts = [words(across.start - 12, y + 4, row.label, kind="end", limit=_SIGNS, href=row.href)]
    if value is None:
        parts.append(words(across.start, y + 4, row.note or "not measured", kind="soft small", limit=52))
        return titled(NOTHING.join(parts), row.note or row.label)
    if low is not None and high is not None:
        parts.append(line(across.at(low), y, across.at(high), y, "whisker" if filled else "whisker faint"))
    parts.append(_mark(across.at(value), y, row.kind, filled=filled))
    numbers = across.told(value, finer=1, signed=True)
    if low is not None and high is not None:
        numbers += f" [{across.told(low, finer=1)}, {across.told(high, finer=1)}]"
    parts.append(words(across.end + 8, y + 4, numbers, kind="small"))
    return titled(NOTHING.join(parts), f"{row.label}: {numbers}. {row.note}".strip(". "))


def _mark(x: float, y: float, kind: str, *, filled: bool) -> Markup:
    if kind == "baseline":
        return element("path", d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z", class_="f2")
    if kind == "blocked":
        return element("path", d=f"M{x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8", class_="cross")
    return element("rect", x=x - 4, y=y - 4, width=8, height=8, class_="f1" if filled else "hollow")


def _period(row: Estimate, x: float, up: Scale, reference: float | None) -> Markup:
    value, low, high = finite(row.value), finite(row.low), finite(row.high)
    if value is None:
        return titled(words(x, up.start - 4, "-", kind="soft mid small"), f"{row.label}: not measured")
    above = reference is None or value > reference
    parts = []
    if low is not None and high is not None:
        parts.append(line(x, up.at(low), x, up.at(high), "whisker" if above else "whisker faint"))
    parts.append(element("circle", cx=x, cy=up.at(value), r=4, class_="f1" if above else "hollow"))
    told = f"{row.label}: {figure(value, signed=True)} [{figure(low)}, {figure(high)}] {row.note}"
    return linked(titled(NOTHING.join(parts), told.strip()), row.href)
