"""A file as a whole or not at all: written beside its place and renamed into it."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from planner.errors import ArtifactUnwritable


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, durable: bool = True) -> None:
    """Put `data` (or its pieces) at `path` by a temporary file and a rename: readers see the old or the new.

    `durable` waits until it is on the disk, so that it survives a power cut; what can be made again need not.

    Raises:
        ArtifactUnwritable: no space, no permission, or something in the way.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.writelines([data] if isinstance(data, bytes) else data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ArtifactUnwritable(
            f"cannot write {path.name}: {error.strerror}",
            where=str(path.parent),
            fix="free the place or name another --output-dir",
        ) from error
