"""Values one after another: the small line in a table, the learning curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from daemon.pictures.drawing import (
    NOTHING,
    Scale,
    element,
    figure,
    finite,
    legible,
    line,
    picture,
    polyline,
    scale_over,
    spaced,
    titled,
    words,
)

_SMALL = (80.0, 18.0)
_SMALL_POINTS = 32
_SIZE = (480.0, 220.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 468.0, 30.0, 190.0
_POINTS = 300
_DECADES = 50.0  # from this ratio of largest to smallest on, losses are drawn by their logarithm


def sparkline(values: Sequence[float | None], *, label: str = "") -> Markup:
    """The course of a value in a line of text, its last point marked; nothing below two values.

    `label` is what the values are, for those who do not see the picture.
    """
    known = [number for value in values if (number := finite(value)) is not None]
    if len(known) < 2:
        return NOTHING
    shown = [known[place] for place in spaced(len(known), _SMALL_POINTS)]
    width, height = _SMALL
    across = Scale(0, len(shown) - 1, 2, width - 4)
    up = scale_over(shown, height - 3, 3, edge=0)
    points = [(across.at(place), up.at(value)) for place, value in enumerate(shown)]
    told = f"from {figure(known[0])} to {figure(known[-1])}, lowest {figure(min(known))}"
    dot = element("circle", cx=points[-1][0], cy=points[-1][1], r=2, class_="f1")
    return picture("spark", _SMALL, f"{label} {told}", [polyline(points, "s1"), dot])


def curve(
    steps: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    *,
    best_step: float | None = None,
    kept_word: str = "kept",
    label: str = "learning curve",
) -> Markup:
    """Losses by step, each with its own dash, the kept step marked; nothing below two points.

    `kept_word` is what that step is called: a fit that runs has kept nothing yet.

    Values that are not known leave a gap. Losses that span more than a decade and a half are drawn by their
    logarithm, which the picture says.
    """
    drawn = {name: _known(steps, values) for name, values in series.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if max((len(points) for points in drawn.values()), default=0) < 2:
        return NOTHING
    values = [value for points in drawn.values() for _, value in points]
    logarithmic = min(values) > 0 and max(values) / min(values) > _DECADES
    across = scale_over([step for points in drawn.values() for step, _ in points], _LEFT, _RIGHT, edge=0.01)
    up = scale_over([_lifted(value, logarithmic) for value in values], _BOTTOM, _TOP)
    parts = [*_axes(across, up, logarithmic=logarithmic)]
    for place, (name, points) in enumerate(drawn.items()):
        parts += _line(name, points, place, across, up, logarithmic=logarithmic)
    kept = finite(best_step)
    if kept is not None and across.low <= kept <= across.high:
        parts += _kept(kept, kept_word, drawn, across, up, logarithmic=logarithmic)
    said = f"; {kept_word} step {kept:.0f}" if kept is not None else ""
    return picture("curve", _SIZE, _account(label, drawn) + said, parts)


def _known(steps: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    pairs = [(finite(step), finite(value)) for step, value in zip(steps, values, strict=False)]
    known = [(step, value) for step, value in pairs if step is not None and value is not None]
    return [known[place] for place in spaced(len(known), _POINTS)]


def _lifted(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _axes(across: Scale, up: Scale, *, logarithmic: bool) -> list[Markup]:
    parts = []
    for value in up.ticks():
        y = up.at(value)
        told = figure(10.0 ** min(150.0, value)) if logarithmic else up.told(value)
        parts += [line(_LEFT, y, _RIGHT, y, "grid"), words(_LEFT - 6, y + 4, told, kind="soft end small")]
    parts.append(line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    parts += [
        words(across.at(step), _BOTTOM + 15, across.told(step), kind="soft mid small")
        for step in across.ticks(5)
    ]
    parts.append(words(_RIGHT, _BOTTOM + 27, "step", kind="soft end small"))
    if logarithmic:
        parts.append(words(_LEFT - 6, _TOP - 14, "log scale", kind="soft end small"))
    return parts


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    place: int,
    across: Scale,
    up: Scale,
    *,
    logarithmic: bool,
) -> list[Markup]:
    """One line with its entry in the legend above the picture."""
    kind = f"s{place % 4 + 1}"
    at = [(across.at(step), up.at(_lifted(value, logarithmic))) for step, value in points]
    x = _LEFT + 4 + place % 4 * 108
    title = f"{name.replace('_', ' ')}: {figure(points[0][1])} at first, {figure(points[-1][1])} at last"
    return [
        titled(polyline(at, kind), title),
        line(x, 12, x + 22, 12, f"bare {kind}"),
        words(x + 27, 16, name.replace("_", " "), kind="small", limit=13),
    ]


def _kept(
    step: float,
    word: str,
    drawn: Mapping[str, Sequence[tuple[float, float]]],
    across: Scale,
    up: Scale,
    *,
    logarithmic: bool,
) -> list[Markup]:
    """The mark of the step whose model was kept, and the loss it had on the last line drawn."""
    x = across.at(step)
    parts = [line(x, _TOP, x, _BOTTOM, "mark")]
    points = list(drawn.values())[-1]
    nearest = min(points, key=lambda point: abs(point[0] - step))
    told = f"{word}: step {figure(step) if step != int(step) else int(step)}"
    if nearest[0] == step:
        y = up.at(_lifted(nearest[1], logarithmic))
        parts.append(element("circle", cx=x, cy=y, r=3.5, class_="hollow"))
        told += f", {figure(nearest[1])}"
    beside = "end" if x > (_LEFT + _RIGHT) / 2 else ""
    parts.append(words(x - 5 if beside else x + 5, _TOP + 9, told, kind=f"small {beside}"))
    return parts


def _account(label: str, drawn: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    told = [
        f"{name.replace('_', ' ')} from {figure(points[0][1])} to {figure(points[-1][1])}"
        for name, points in drawn.items()
    ]
    return f"{legible(label)}: {'; '.join(told)}"
