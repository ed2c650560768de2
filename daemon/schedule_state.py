"""What is kept beside the results of scheduled runs: when the last one was due, begun and ended, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER, STATE = "schedule", "state.json"
State = dict[str, dict[str, Any]]


def read_state(folder: Path) -> State:
    """Return what is kept of the runs of each entry; nothing where nothing readable is."""
    try:
        found = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): one for name, one in found.items() if isinstance(one, dict)}


def moment_in(known: Mapping[str, Any], key: str) -> datetime | None:
    """Return a moment that was kept; None where none is, or nothing that can be one."""
    try:
        moment = datetime.fromisoformat(str(known.get(key)))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
