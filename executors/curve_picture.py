"""The learning curve of a fit as a small picture: losses of training and validation, the kept step marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

CURVE = "curve.svg"

_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = 'font-family="sans-serif" font-size="11"'
_WIDTH, _HEIGHT, _EDGE = 480, 200, 36
_COLOURS = {"train_loss": "#6b7280", "valid_loss": "#2563eb"}
_OTHER = "#b45309"
_MOST_POINTS = 240


def curve_picture(curve: Mapping[str, Sequence[float]], *, best_step: int) -> str:
    """Return an SVG document of the losses by step, "" where there is no curve of at least two points.

    The same curve gives the same bytes. `best_step` counts from 1; 0 marks none.
    """
    known = {name: list(values) for name, values in sorted(curve.items()) if _finite(values)}
    known = {name: line for name, line in known.items() if name.endswith("_loss")} or known
    values = [value for line in known.values() for value in _finite(line)]
    longest = max((len(line) for line in known.values()), default=0)
    if longest < 2:
        return ""
    low, high = min(values), max(values)
    spread = (high - low) or 1.0

    def at(step: int, value: float) -> str:
        x = _EDGE + (_WIDTH - 2 * _EDGE) * step / (longest - 1)
        y = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / spread
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="{_NAMESPACE}" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(4, _EDGE - 8, f"{high:.6g}"),
        _text(4, _HEIGHT - _EDGE + 12, f"{low:.6g}"),
        _text(_WIDTH - _EDGE - 40, _HEIGHT - 8, f"step {longest}"),
    ]
    for place, (name, line) in enumerate(known.items()):
        colour = _COLOURS.get(name, _OTHER)
        points = " ".join(at(step, line[step]) for step in _steps(line))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>')
        parts.append(_text(_EDGE + 120 * place, 14, name.replace("_", " "), colour))
    if 1 <= best_step <= longest:
        x = at(best_step - 1, low).split(",")[0]
        ends = f'x1="{x}" y1="{_EDGE}" x2="{x}" y2="{_HEIGHT - _EDGE}"'
        parts.append(f'<line {ends} stroke="#16a34a" stroke-dasharray="3,3"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _steps(line: Sequence[float]) -> list[int]:
    """Return which steps are drawn: all, or evenly spaced ones of a long line, the last among them."""
    count = min(len(line), _MOST_POINTS)
    chosen = (round(place * (len(line) - 1) / max(1, count - 1)) for place in range(count))
    return [step for step in chosen if math.isfinite(line[step])]


def _text(x: int, y: int, words: str, colour: str = "#374151") -> str:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x}" y="{y}" fill="{colour}">{escaped}</text>'
