"""The frame around every page: its head, the way through the past, what the script must know."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi.responses import HTMLResponse
from markupsafe import Markup

from daemon.views.words import iso
from daemon.web.access import Principal
from daemon.web.scene import Scene

TICKS = 24  # moments known along the slider, for the time it shows while it is moved
REFRESH_SECONDS = 20  # of a page without a script


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """The way through the past: from the first event to the head, and where the page stands."""

    head: int
    seq: int
    at: datetime | None
    ticks: str


def shown(
    scene: Scene,
    principal: Principal,
    template: str,
    parts: Mapping[str, str],
    values: Mapping[str, Any] | None = None,
    *,
    path: str = "/",
    lives: bool = True,
    status: int = 200,
) -> HTMLResponse:
    """Answer with a page in its frame.

    Args:
        scene: what it shows.
        principal: who asks.
        template: it extends ``page.html``.
        parts: its living parts, with "header" among them; the template prints ``parts["NAME"]``.
        values: what else the template needs.
        path: the page's own address without its query.
        lives: whether the stream keeps it up to date.
        status: of HTTP.
    """
    frame = {
        "view": scene.view,
        "past": scene.past,
        "seq": scene.seq,
        "lives": lives and scene.past is None,
        "principal": principal,
        "parts": {name: Markup(text) for name, text in parts.items()},  # noqa: S704 - of our own templates
        "slider": _slider(scene),
        "refresh_seconds": REFRESH_SECONDS,
        "path": path,
        "now": datetime.now(UTC),
        "signs_out": bool(scene.site.tokens),
    }
    return HTMLResponse(scene.site.page(template, frame | dict(values or {})), status_code=status)


def _slider(scene: Scene) -> Slider:
    """The moments of evenly spaced events: the script names the time between them while it is moved."""
    reader = scene.site.reader
    head = reader.head_seq()
    places = sorted({max(1, round(place * head / TICKS)) for place in range(TICKS + 1)}) if head else []
    known = [(place, reader.events(after=place - 1, limit=1)) for place in places]
    ticks = " ".join(f"{place}@{iso(found[0].at)}" for place, found in known if found)
    return Slider(head=head, seq=scene.seq, at=scene.past.at if scene.past else None, ticks=ticks)
