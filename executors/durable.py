"""Directories that are either whole on disk or not there: write, fsync, rename, fsync the parent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_directory(path: Path, files: Mapping[str, bytes], *, unique: str) -> None:
    """Make the directory `path` with `files` appear in one step; it must not exist yet.

    Args:
        path: the final name; its parents are made.
        files: plain file name -> content.
        unique: what tells this writer's temporary directory from another's.

    Raises:
        OSError: the disk refuses; nothing appears under `path` then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.name}.{unique}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name, content in files.items():
        with (draft / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_directory(draft)
    draft.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Force the entries of the directory `path` to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
