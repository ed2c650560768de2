"""Documents for programs: one version, one way to write moments and places, wherever they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.views.words import iso

VERSION = 1


def document_text(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Return a versioned JSON document as text; its first key is ``v``.

    Raises:
        TypeError: a value has no plain form.
    """
    return json.dumps({"v": VERSION, **document}, ensure_ascii=True, indent=indent, default=plain)


def plain(value: object) -> object:
    """JSON for what the standard encoder does not know.

    Raises:
        TypeError: the value has no plain form.
    """
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)
