"""A panel onto disk: content key, whole-or-nothing directory, and the index that saves parsing.

CACHE/panels/<key>/ holds a panel, CACHE/index/<signature>.json says which key some files and options gave,
CACHE/locks/<signature>.lock lets one process build while the others wait for its result.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import SCHEMA, Column, Panel, open_panel
from panel.errors import PanelDamaged

# Raised whenever the same files would give other rows or columns than before.
BUILD = 2

Array = npt.NDArray[Any]


def content_key(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """The key of a panel: "d_" and 32 hex digits over its names, roles and every value.

    `facts` is JSON-able; `arrays` are hashed in the order of their names, byte for byte.
    """
    digest = sha256(f"panel {SCHEMA} {BUILD}\n".encode())
    digest.update(canonical(facts))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        for row in array.reshape(-1, array.shape[-1]):
            digest.update(np.ascontiguousarray(row).data)
    return f"d_{digest.hexdigest()[:32]}"


def panel_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The part of meta.json that belongs to the content: what a reader's numbers depend on."""
    columns = [
        {name: column[name] for name in ("name", "role", "task", "horizon_bars", "classes")}
        for column in meta["columns"]
    ]
    kept = {name: meta[name] for name in ("interval_ns", "session_minutes", "symbols", "stored")}
    return {**kept, "columns": columns}


def column_records(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Columns as meta.json keeps them."""
    return [{**asdict(column), "classes": list(column.classes)} for column in columns]


def canonical(value: object) -> bytes:
    """A value as JSON with one spelling only: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def intact(panel: Panel) -> bool:
    """Whether a stored panel's files still hold what its key was made from."""
    meta = json.loads((panel.path / "meta.json").read_text(encoding="utf-8"))
    names = ("values", "times", "symbols")
    arrays = {name: np.load(panel.path / f"{name}.npy", mmap_mode="r") for name in names}
    return content_key(panel_facts(meta), arrays) == panel.key


def indexed_panel(cache_dir: Path, signature: str) -> Panel | None:
    """The panel that files and options of this signature gave before, or None when it must be built."""
    try:
        record = json.loads((cache_dir / "index" / f"{signature}.json").read_text(encoding="utf-8"))
        return open_panel(cache_dir / "panels" / record["key"])
    except (OSError, ValueError, KeyError, PanelDamaged):
        return None


def remember(cache_dir: Path, signature: str, key: str) -> None:
    """Note in the index which panel a signature gave."""
    folder = cache_dir / "index"
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / f"{signature}.json", canonical({"key": key, "schema": SCHEMA}))


@contextmanager
def building(cache_dir: Path, signature: str) -> Iterator[Path]:
    """Hold the lock of a signature and lend an empty directory on the same file system to build in.

    Waits while another process builds the same; the directory is gone afterwards unless it was renamed.
    """
    locks = cache_dir / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    (cache_dir / "panels").mkdir(exist_ok=True)
    with (locks / f"{signature}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with tempfile.TemporaryDirectory(
            prefix=".building-", dir=cache_dir / "panels", ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)


def save_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write meta.json, the last file of a panel."""
    (folder / "meta.json").write_bytes(json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode())


def publish(folder: Path, cache_dir: Path, key: str) -> Panel:
    """Move a built panel to its place, safe against power loss; an equal one already there is kept.

    A panel of this key whose files are damaged is replaced.
    """
    place = cache_dir / "panels" / key
    try:
        present = open_panel(place)
        if intact(present):
            return present
    except PanelDamaged:
        pass
    for file in folder.iterdir():
        _sync(file)
    _sync(folder)
    whole = place.with_name(f".{key}-{os.getpid()}")
    folder.rename(whole)
    if place.exists():
        shutil.rmtree(place)
    whole.rename(place)
    _sync(place.parent)
    return open_panel(place)


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}-{os.getpid()}")
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
