"""The published JSON Schemas of what a fit leaves: its bundle's card and evaluation, its metrics."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

DOCUMENTS = ("card", "evaluation", "metrics")


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of "card", "evaluation" or "metrics".

    Raises:
        KeyError: there is no schema of that name.
    """
    if name not in DOCUMENTS:
        raise KeyError(name)
    file = resources.files("executors") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
