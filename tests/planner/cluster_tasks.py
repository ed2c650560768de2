"""Tasks that are done on a cluster: in a module that its processes can import without the tests' tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from panel.aligned import open_panel
from panel.storing import intact


def refusing(task: int) -> int:
    """A task that fails half way."""
    if task == 3:
        message = f"task {task} cannot be done"
        raise ValueError(message)
    return task


def where(task: int) -> tuple[int, int]:
    """A task, and the process that did it."""
    return task, os.getpid()


def dying(task: str) -> int:
    """Die in the first process that does it; in the next one, return its number."""
    mark = Path(task)
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return os.getpid()


def brought(task: tuple[Any, str]) -> tuple[str, bool, int]:
    """Where a panel is on the machine of the task, whether it is whole there, and which file it is."""
    bring, path = task
    place: Path = bring(Path(path))
    return str(place), intact(open_panel(place)), (place / "values.npy").stat().st_ino
