"""The study as one picture: scores against what could be known, and the shares that were found, by kind."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from generated.figures import HARD_LEAKS, PLAIN_LEAKS
from generated.judge import JudgedTarget, Judgement
from generated.targets import KINDS
from generated.truth import BLOCKED

WIDTH, HEIGHT = 960, 470
_LEFT, _TOP, _SIDE = 70, 60, 360
_MOST = 0.16  # of both axes; what is larger (volatility) is drawn at the edge
_COLOURS = {
    "kept rightly": "#2b7a4b",
    "missed": "#d08b1d",
    "kept wrongly": "#b3261e",
    "dropped rightly": "#8a8f98",
}


def draw(judged: Sequence[Judgement]) -> str:
    """The picture as SVG text, drawn from the judgements alone: the same panels give the same bytes."""
    targets = [target for one in judged for target in one.targets]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 28, f"{len(judged)} generated panels, {len(targets)} targets", size=16),
        *_scatter(targets),
        *_bars(judged),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scatter(targets: Sequence[JudgedTarget]) -> list[str]:
    """Rank score over oracle, one dot a target; unpredictable ones stand at zero."""
    bottom = _TOP + _SIDE
    parts = [
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_LEFT + _SIDE}" fill="none" stroke="#444"/>',
        f'<path d="M{_LEFT} {bottom}L{_LEFT + _SIDE} {_TOP}" stroke="#bbb" stroke-dasharray="4 4"/>',
        _text(
            _LEFT + _SIDE / 2, bottom + 36, "oracle IC: skill of the true conditional mean", anchor="middle"
        ),
        _text(_LEFT, _TOP - 10, "score out of sample, above no skill"),
    ]
    for step in range(5):
        value = _MOST * step / 4
        parts.append(_text(_LEFT + _SIDE * step / 4, bottom + 16, f"{value:.2f}", anchor="middle"))
        parts.append(_text(_LEFT - 6, bottom - _SIDE * step / 4 + 4, f"{value:.2f}", anchor="end"))
    for target in targets:
        x, y = _place(target.truth.oracle_ic if target.truth.predictable else 0.0), _place(target.score)
        title = f"{target.truth.kind} {target.truth.name}: {_outcome(target)}"
        parts.append(
            f'<circle cx="{_LEFT + _SIDE * x:.1f}" cy="{bottom - _SIDE * y:.1f}" r="3.2" fill-opacity="0.75" '
            f'fill="{_COLOURS[_outcome(target)]}"><title>{escape(title)}</title></circle>'
        )
    for place, (name, colour) in enumerate(_COLOURS.items()):
        y = _TOP + 14 + 17 * place
        parts.append(f'<circle cx="{_LEFT + 14}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(_text(_LEFT + 24, y, f"{name}: {sum(_outcome(target) == name for target in targets)}"))
    return parts


def _place(value: float | None) -> float:
    return min(max((value or 0.0) / _MOST, 0.0), 1.0)


def _outcome(target: JudgedTarget) -> str:
    if target.truth.predictable:
        return "kept rightly" if target.kept else "missed"
    return "kept wrongly" if target.kept else "dropped rightly"


def _bars(judged: Sequence[Judgement]) -> list[str]:
    """The share of right routes by kind of target, and of blocked leaks by kind of leak."""
    targets = [target for one in judged for target in one.targets]
    present = {target.truth.kind for target in targets}
    routes = {
        kind: [target.right_route for target in targets if target.truth.kind == kind]
        for kind in KINDS
        if kind in present
    }
    leaks = {
        kind: [leak.verdict == BLOCKED for one in judged for leak in one.leaks if leak.kind == kind]
        for kind in (*PLAIN_LEAKS, *HARD_LEAKS)
    }
    rows = [(None, "right route"), *routes.items(), (None, "leaks blocked"), *leaks.items()]
    parts = []
    height = (_SIDE + 40) / len(rows)
    for place, (kind, cases) in enumerate(rows):
        y = _TOP - 10 + height * (place + 0.7)
        if kind is None or isinstance(cases, str):
            parts.append(_text(630, y, str(cases), size=13, anchor="start"))
            continue
        share = sum(cases) / len(cases) if cases else 0.0
        parts.append(_text(624, y, kind.replace("_", " "), anchor="end"))
        extent = f'width="{220 * share:.1f}" height="{height - 5:.1f}"'
        parts.append(f'<rect x="630" y="{y - 9:.1f}" {extent} fill="#3d6fb4"/>')
        parts.append(_text(636 + 220 * share, y, f"{sum(cases)} of {len(cases)}"))
    return parts


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#222">'
        f"{escape(words)}</text>"
    )
