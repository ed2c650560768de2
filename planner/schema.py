"""The published JSON Schemas of every file the planner writes."""

import functools
import json
from importlib import resources
from typing import Any

from planner.errors import PlannerError

TABLES = ("routing_candidates", "target_ranking", "leakage", "feature_selection")
DOCUMENTS = (
    "routing_plan",
    "training_plan",
    "by_target",
    "by_symbol",
    "by_type",
    "by_route",
    "by_stage",
)


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a table's row or of a document, by its name.

    Raises:
        PlannerError: there is no schema of that name.
    """
    file = resources.files("planner") / "schemas" / f"{name}.schema.json"
    if name not in (*TABLES, *DOCUMENTS):
        raise PlannerError(f"no schema named {name!r}", fix=f"one of {', '.join((*TABLES, *DOCUMENTS))}")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def table_columns(name: str) -> dict[str, str]:
    """Return the columns of a table in order: name -> string, integer, number, boolean or `list of …`."""
    return {column: _kind(rule) for column, rule in load_schema(name)["properties"].items()}


def _kind(rule: dict[str, Any]) -> str:
    named = rule["type"]
    kind = str(next(word for word in named if word != "null") if isinstance(named, list) else named)
    return f"list of {rule['items']['type']}" if kind == "array" else kind
