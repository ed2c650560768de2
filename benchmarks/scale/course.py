"""How fast a simulation went while its logs grew, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 300, 70, 40, 250
_RIGHT = _WIDTH - 170
_SLICES = 10
_DASHES = ("", "6 3")


class Point(NamedTuple):
    """So many fits had ended after so many seconds, and so many of processor time of all parts."""

    ended: int
    seconds: float
    cpu_seconds: float


def rates(course: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the fits a second in ten equal slices of the work, by the clock and by processor time."""
    ended = [point.ended for point in course]
    moments = [_moment(course, ended[-1] * place / _SLICES) for place in range(_SLICES + 1)]
    fits = ended[-1] / _SLICES
    pairs = list(pairwise(moments))
    return (
        [fits / max(after[0] - before[0], 1e-9) for before, after in pairs],
        [fits / max(after[1] - before[1], 1e-9) for before, after in pairs],
    )


def _moment(course: Sequence[Point], ended: float) -> tuple[float, float]:
    """Return when so many fits had ended, by both clocks, between the points beside it."""
    for before, after in pairwise(course):
        if before.ended <= ended <= after.ended and after.ended > before.ended:
            share = (ended - before.ended) / (after.ended - before.ended)
            return (
                before.seconds + share * (after.seconds - before.seconds),
                before.cpu_seconds + share * (after.cpu_seconds - before.cpu_seconds),
            )
    return course[-1].seconds, course[-1].cpu_seconds


def drawn(course: Sequence[Point], *, parts: int) -> str:
    """Return the picture of the rate by how many fits have ended."""
    by_clock, by_processor = rates(course)
    lines = {"by the clock": by_clock, "by processor time": [parts * rate for rate in by_processor]}
    most = max(rate for line in lines.values() for rate in line)
    heading = "fits a second, by how many have ended in all logs"
    drawing = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" ',
        'font-family="sans-serif" font-size="13"><title>Fits a second of a simulation</title>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/><text x="{_LEFT}" y="22">{heading}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        x, y = _LEFT + share * (_RIGHT - _LEFT), _BOTTOM - share * (_BOTTOM - _TOP)
        fits, rate = f"{share * course[-1].ended:,.0f}", f"{share * most:,.0f}/s"
        drawing.append(f'<path d="M{_LEFT} {y:.0f}H{_RIGHT}" stroke="#ccc"/>')
        drawing.append(f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{rate}</text>')
        drawing.append(f'<text x="{x:.0f}" y="{_BOTTOM + 22}" text-anchor="middle">{fits}</text>')
    for place, (dash, (name, line)) in enumerate(zip(_DASHES, lines.items(), strict=True)):
        drawn_as = f'fill="none" stroke="#14507a" stroke-width="2" stroke-dasharray="{dash}"/>'
        y = _TOP + 20 * place
        drawing.append(f'<polyline points="{_path(line, most)}" {drawn_as}')
        drawing.append(f'<path d="M{_RIGHT + 8} {y}H{_RIGHT + 28}" {drawn_as}')
        drawing.append(f'<text x="{_RIGHT + 32}" y="{y + 4}">{name}</text>')
    return "".join([*drawing, "</svg>\n"])


def _path(line: Sequence[float], most: float) -> str:
    step = (_RIGHT - _LEFT) / _SLICES
    return " ".join(
        f"{_LEFT + (place + 0.5) * step:.1f},{_BOTTOM - rate / most * (_BOTTOM - _TOP):.1f}"
        for place, rate in enumerate(line)
    )
