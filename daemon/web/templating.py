"""How templates are filled in: every text is foreign, so it is escaped and its control signs are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from daemon.views import words
from store.moments import iso_utc


def environment(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "moment": words.moment,
        "iso": words.iso,
        "span": words.span,
        "number": words.number,
        "bytes": words.bytes_words,
        "route": words.route_words,
        "ago": ago,
        "age": age,
        "clock": clock,
        "counted": words.counted,
    }
    return found


def finalized(value: object) -> object:
    """Return what is printed of a value: text with its control signs shown, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return words.legible(value)
    return value


def ago(at: datetime | None) -> Markup:
    """Return a moment that the page's script tells as ``4m 10s ago``; without a script the moment itself."""
    return _time(at, _short(at), "ago")


def age(at: datetime | None) -> Markup:
    """Return a moment that the page's script tells as ``4m 10s``; without a script the moment itself."""
    return _time(at, _short(at), "age")


def clock(at: datetime | None) -> Markup:
    """Return a moment as the time of its day, with the whole of it for those who ask."""
    return _time(at, "-" if at is None else f"{at.astimezone(UTC):%H:%M:%S}", "clock")


def _short(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone(UTC):%d %b %H:%M}Z"


def _time(at: datetime | None, text: str, kind: str) -> Markup:
    if at is None:
        return Markup("-")
    told = words.moment(at)
    return Markup('<time class="{}" datetime="{}" title="{}">{}</time>').format(kind, iso_utc(at), told, text)
