"""A panel onto disk: content key, whole-or-nothing directory, and the index that saves parsing.

CACHE/panels/<key>/ holds a panel, CACHE/index/<signature>.json says which key some files and options gave,
CACHE/locks/<signature>.lock lets one process build while the others wait for its result.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
BUILD = 3

Array = npt.NDArray[Any]


def content_key(facts: Mapping[str, Any], digests: Mapping[str, str], layout: str) -> str:
    """The key of a panel: "d_" and 32 hex digits over its names, its roles and the digests of every value.

    `facts` is JSON-able, see panel_facts; `digests` and `layout` are of column_digests and layout_digest.
    """
    parts = {"build": BUILD, "schema": SCHEMA, "facts": facts, "digests": digests, "layout": layout}
    return f"d_{sha256(canonical(parts)).hexdigest()[:32]}"


def column_digests(names: Sequence[str], values: Array) -> dict[str, str]:
    """The SHA-256 of each stored column's bytes, 64 hex digits by name; `values` is (columns, rows)."""
    return {name: _digest(values[place]) for place, name in enumerate(names)}


def layout_digest(meta: Mapping[str, Any], times: Array, symbol_codes: Array) -> str:
    """The SHA-256 of what the rows stand for: times and symbols (rows,), the symbols' names, the interval."""
    parts = {
        "times": _digest(times),
        "symbol_codes": _digest(symbol_codes),
        **{name: meta[name] for name in ("symbols", "interval_ns", "session_minutes")},
    }
    return sha256(canonical(parts)).hexdigest()


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


def seal(meta: dict[str, Any], values: Array, times: Array, symbol_codes: Array) -> None:
    """Put the digests of a panel's arrays and the key made from them into its meta."""
    columns, layout = column_digests(meta["stored"], values), layout_digest(meta, times, symbol_codes)
    meta["digests"], meta["layout_digest"] = columns, layout
    meta["key"] = content_key(panel_facts(meta), columns, layout)


def intact(panel: Panel) -> bool:
    """Whether a stored panel's files still hold what its key and its digests were made from."""
    meta = json.loads((panel.path / "meta.json").read_text(encoding="utf-8"))
    found = dict(meta)
    seal(found, np.load(panel.path / "values.npy", mmap_mode="r"), panel.times, panel.symbol_codes)
    return bool(found == meta)


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


def _digest(array: Array) -> str:
    head = f"{array.dtype.str} {array.shape}\n".encode()
    digest = sha256(head)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


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
