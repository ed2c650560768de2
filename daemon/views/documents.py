"""Documents for programs: one version, one way to write moments and places, wherever they are asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.views.words import iso

VERSION = 1


def document_text(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Return a versioned JSON document as text; its first key is ``v``.

    A number that JSON does not have (NaN, infinity) is null.

    Raises:
        TypeError: a value has no plain form.
    """
    told = {"v": VERSION, **document}
    try:
        return json.dumps(told, indent=indent, default=plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(told), indent=indent, default=plain, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401 - any value of a document
    """Return a value with null for every number that is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


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
