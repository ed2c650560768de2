"""Files that are whole or not there: written beside their place, on disk before they take their name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import KeepingRefused


@contextmanager
def appearing(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` to write to; at the end it is on disk under its name, or, on an error, gone.

    Raises KeepingRefused when the file is there already and is not to be replaced, or cannot be written.
    """
    if path.exists() and not replace:
        raise KeepingRefused(
            what="the file is there already", where=str(path), fix="Name another file", exit_code=2
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        sync_file(partial)
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> KeepingRefused:
    """Return the error that says a file cannot be read or written, and why."""
    return KeepingRefused(
        what=f"the file cannot be read or written: {error.strerror or error}",
        where=str(path),
        fix="Look at the rights of the directory and the room on its disk, or name another place",
    )


def sync_file(path: Path) -> None:
    """Wait until a file's content is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
