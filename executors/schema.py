"""The published JSON Schemas of what a bundle holds: its card and its evaluation."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

DOCUMENTS = ("card", "evaluation")


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of "card" or "evaluation".

    Raises:
        KeyError: there is no schema of that name.
    """
    if name not in DOCUMENTS:
        raise KeyError(name)
    file = resources.files("executors") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
