"""What was measured before: a file each, named by the hash of everything it was made from.

FOLDER/<step>/<hash>.json holds plain values, FOLDER/<step>/<hash>.npz arrays. A file is whole or it is not
there: it is renamed into place, and what cannot be read is measured again, so nothing waits for the disk.
Reading a file marks it as used; `trim` removes what has not been used for long. Panels lie beside this
folder and are never removed here: accepted plans name them, and their fits may still be running.
"""

import contextlib
import io
import os
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from planner.writing import write_atomically
from store.canonical import canonical_json, sha256_hex

MOST_BYTES = 1 << 30
LONGEST_UNUSED_DAYS = 60.0
_LEFTOVER_DAYS = 1.0  # a file under way is minutes old; older ones are of processes that were killed
_DAY_SECONDS = 86_400.0

Arrays = Mapping[str, npt.NDArray[Any]]


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
        found = None if self.refresh else self._read(self._path(step, parts, "json"))
        self._count(step, known=found is not None)
        return found

    def keep(self, step: str, parts: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Store the measurement made from these parts: plain JSON values.

        Raises:
            ArtifactUnwritable: no space or no permission.
        """
        write_atomically(
            self._path(step, parts, "json"), canonical_json({"parts": parts, "value": value}), durable=False
        )

    def find_arrays(self, step: str, parts: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]] | None:
        """Return the arrays stored for these parts, by name; None as in `find`."""
        found = None if self.refresh else self._read_arrays(self._path(step, parts, "npz"))
        self._count(step, known=found is not None)
        return found

    def keep_arrays(self, step: str, parts: Mapping[str, Any], arrays: Arrays) -> None:
        """Store arrays of numbers, of any shape, bit for bit.

        Raises:
            ArtifactUnwritable: no space or no permission.
        """
        sink = io.BytesIO()
        named: dict[str, Any] = dict(arrays)
        np.savez(sink, **named)
        write_atomically(self._path(step, parts, "npz"), sink.getvalue(), durable=False)

    def answered(self, step: str) -> bool:
        """Return whether every question of a step so far was answered from here."""
        return bool(self.hits[step]) and not self.misses[step]

    def trim(self, *, most_bytes: int = MOST_BYTES, unused_days: float = LONGEST_UNUSED_DAYS) -> int:
        """Remove what was not used for `unused_days`, then the longest unused beyond `most_bytes`.

        Returns the number of files removed. A planning that reads one of them meanwhile measures it again.
        """
        now = time.time()
        files, removed = [], 0
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # another planning trims as well
                state = path.stat()
                limit = _LEFTOVER_DAYS if path.name.startswith(".") else unused_days
                if now - state.st_mtime > limit * _DAY_SECONDS:
                    path.unlink()
                    removed += 1
                else:
                    files.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= most_bytes:
                break
            path.unlink(missing_ok=True)
            total, removed = total - size, removed + 1
        return removed

    def _count(self, step: str, *, known: bool) -> None:
        (self.hits if known else self.misses)[step] += 1

    def _path(self, step: str, parts: Mapping[str, Any], kind: str) -> Path:
        return self.folder / step / f"{fingerprint(parts)}.{kind}"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            value = msgspec.json.decode(path.read_bytes())["value"]
        except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError):
            return None
        _mark_used(path)
        return value if isinstance(value, dict) else None

    @staticmethod
    def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]] | None:
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
            return None
        _mark_used(path)
        return arrays


def _mark_used(path: Path) -> None:
    with contextlib.suppress(OSError):  # a cache that may only be read still answers
        os.utime(path)
