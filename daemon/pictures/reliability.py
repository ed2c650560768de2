"""Whether predictions mean what they say: what was predicted beside what came."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from daemon.pictures.drawing import (
    NOTHING,
    Scale,
    element,
    figure,
    finite,
    line,
    picture,
    polyline,
    scale_over,
    titled,
    words,
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 300.0, 12.0, 252.0
_LARGEST_RADIUS = 8.0


def calibration(
    rows: Sequence[tuple[float | None, float | None, float]], *, label: str = "calibration"
) -> Markup:
    """A point for each bin of (predicted, observed, rows) on the diagonal of perfect calibration.

    The area of a point is as large as its share of the rows.
    """
    known = [
        (said, came, max(0.0, finite(count) or 0.0))
        for predicted, observed, count in rows
        if (said := finite(predicted)) is not None and (came := finite(observed)) is not None
    ]
    if not known:
        return NOTHING
    both = [value for said, came, _ in known for value in (said, came)]
    across = scale_over(both, _LEFT, _RIGHT)
    up = Scale(across.low, across.high, _BOTTOM, _TOP)
    points = [(across.at(said), up.at(came)) for said, came, _ in known]
    parts = [*_axes(across, up), line(_LEFT, _BOTTOM, _RIGHT, _TOP, "mark")]
    parts.append(polyline(points, "s1"))
    most = max(count for _, _, count in known) or 1.0
    for (x, y), (said, came, count) in zip(points, known, strict=True):
        told = f"predicted {figure(said)}, observed {figure(came)}, {count:,.0f} rows"
        radius = max(2.5, _LARGEST_RADIUS * math.sqrt(count / most) * 0.75)
        parts.append(titled(element("circle", cx=x, cy=y, r=radius, class_="f1"), told))
    furthest = max(known, key=lambda row: abs(row[0] - row[1]))
    account = (
        f"{label}: {len(known)} bins, furthest off at {figure(furthest[0])} where {figure(furthest[1])} came"
    )
    return picture("calibration", (316.0, 294.0), account, parts)


def _axes(across: Scale, up: Scale) -> list[Markup]:
    parts: list[Markup] = []
    for value in across.ticks():
        x, y = across.at(value), up.at(value)
        parts += [line(x, _TOP, x, _BOTTOM, "grid"), line(_LEFT, y, _RIGHT, y, "grid")]
        parts.append(words(x, _BOTTOM + 15, across.told(value), kind="soft mid small"))
        parts.append(words(_LEFT - 6, y + 4, across.told(value), kind="soft end small"))
    parts.append(words((_LEFT + _RIGHT) / 2, _BOTTOM + 32, "predicted", kind="mid small"))
    parts.append(words(_LEFT + 6, _TOP + 12, "observed", kind="small"))
    return parts
