"""Free space at the places the host writes to, held against a floor."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.notices import DISK_LOW
from daemon.settings import Settings
from store.database import is_sqlite, sqlite_path

ROOMY = 1.1  # times the floor must be free before it counts as enough again


def free_bytes(path: Path) -> int | None:
    """Return what an ordinary account may still write at a path, or where it will be; None when unknown."""
    for place in (path, *path.parents):
        try:
            found = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
    return None


class DiskFloor:
    """Whether there is too little space somewhere; once there is, it must come to a tenth above the floor."""

    def __init__(self, settings: Settings, *, free: Callable[[Path], int | None] = free_bytes) -> None:
        self._floor, self._free = settings.disk_floor_bytes, free
        self._places = places_of(settings)
        self._low: dict[str, str] = {}

    @property
    def words(self) -> str | None:
        """What is too little and where, as of the last look; None when there is enough everywhere."""
        return next((self._low[name] for name in self._places if name in self._low), None)

    def look(self) -> None:
        """See how much is free now."""
        for name, path in self._places.items():
            found = self._free(path)
            wanted = self._floor * (ROOMY if name in self._low else 1)
            if found is None or found >= wanted:
                self._low.pop(name, None)
            elif name not in self._low:
                self._low[name] = (
                    f"{DISK_LOW}: {in_words(found)} are free at {path} ({name}), "
                    f"the floor is {in_words(self._floor)} (disk_floor_bytes)"
                )


def places_of(settings: Settings) -> Mapping[str, Path]:
    """Return where the host writes, by name: results, output, the drop folder, a log that is a file."""
    places = {"results": settings.results_dir, "output": settings.output_dir, "inbox": settings.inbox_dir}
    if is_sqlite(settings.database_url):
        places["event log"] = sqlite_path(settings.database_url).parent
    return places


def in_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
