"""What a place of artefacts must be able to do: objects under names, each there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Objects(Protocol):
    """Objects under names like ``panels/ID/manifest.json``; every call may raise Away."""

    @property
    def address(self) -> str:
        """Where they lie, for messages: without any secret."""

    def read(self, name: str, *, bytes_max: int) -> bytes:
        """Return a small object; raises Absent, and Damaged for one that is larger."""

    def write(self, name: str, content: bytes) -> None:
        """Make an object of so many bytes, in the place of one that is there."""

    def put(self, path: Path, name: str) -> None:
        """Make an object of a file; raises OSError when the file cannot be read."""

    def get(self, name: str, path: Path, *, bytes_max: int) -> None:
        """Write an object into a file; raises Absent, Damaged for a larger one, OSError of the file."""

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects beneath ``prefix/``, sorted."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, in this order; what is gone already is gone."""

    def sweep(self, prefix: str, *, older_seconds: float) -> None:
        """Remove what was torn off beneath ``prefix/`` and is that old, where anything of it stays."""
