"""What was measured before: one JSON file each, named by the hash of everything it was made from."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.artifacts import write_atomically
from store.canonical import canonical_json, sha256_hex


def fingerprint(parts: object) -> str:
    """Return 32 hex digits of the SHA-256 of canonical JSON: equal parts, equal fingerprint."""
    return sha256_hex(canonical_json(parts))[:32]


@dataclass(slots=True)
class Cache:
    """Measurements under `folder`; `refresh` writes them anew and reads none."""

    folder: Path
    refresh: bool = False
    hits: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)

    def find(self, step: str, parts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was stored for these parts; None when nothing was, or it is not readable any more."""
        found = None if self.refresh else self._read(self._path(step, parts))
        counter = self.misses if found is None else self.hits
        counter[step] += 1
        return found

    def keep(self, step: str, parts: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Store the measurement made from these parts.

        Raises:
            ArtifactUnwritable: no space or no permission.
        """
        write_atomically(self._path(step, parts), canonical_json({"parts": parts, "value": value}))

    def answered(self, step: str) -> bool:
        """Return whether every question of a step so far was answered from here."""
        return bool(self.hits[step]) and not self.misses[step]

    def _path(self, step: str, parts: Mapping[str, Any]) -> Path:
        return self.folder / step / f"{fingerprint(parts)}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            value = json.loads(path.read_bytes())["value"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, dict) else None
