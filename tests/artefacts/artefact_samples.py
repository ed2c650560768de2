"""Directories to be put somewhere, and what breaks them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec

KEY = "bundles/p_1/f_1/" + 64 * "a"


def made(path: Path, **files: bytes) -> Path:
    """A directory with these files, or two plain ones."""
    path.mkdir(parents=True)
    for name, content in (files or {"card.json": b"{}", "model.txt": b"tree" * 1000}).items():
        (path / name).write_bytes(content)
    return path


def content(path: Path) -> dict[str, bytes]:
    """What lies in a directory."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def overwrite(place: tuple[str, dict[str, Any]], name: str, data: bytes) -> None:
    """Change an object behind everybody's back."""
    url, options = place
    files, root = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    if url.startswith("file:"):
        files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
    files.pipe_file(f"{root}/{name}", data)


def remove(place: tuple[str, dict[str, Any]], name: str) -> None:
    """Remove an object behind everybody's back."""
    url, options = place
    files, root = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    files.rm_file(f"{root}/{name}")
