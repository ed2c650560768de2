"""A directory that several hosts have mounted, as a place of artefacts.

The directory itself is never made: where its file system is not mounted it is not there, and nothing must be
written into the empty place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.artefacts.errors import Absent, Away, Damaged
from executors.durable import sync_directory

_GONE = (errno.ENOENT, errno.ENOTDIR)
_BLOCK_BYTES = 1 << 20
_DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")


class DirectoryObjects:
    """Files beneath a directory; each appears by a rename, after it was flushed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """The directory."""
        return f"file://{self._root}"

    def read(self, name: str, *, bytes_max: int) -> bytes:
        """Return a small object; raises Absent, Damaged, Away."""
        with self._reading(name), (self._root / name).open("rb") as file:
            content = file.read(bytes_max + 1)
        if len(content) > bytes_max:
            raise Damaged(name, f"is larger than {bytes_max:,} bytes", where=self.address)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Make an object; raises Away."""
        with self._writing(name) as draft:
            draft.write_bytes(content)

    def put(self, path: Path, name: str) -> None:
        """Make an object of a file; raises OSError when the file cannot be read, and Away."""
        with path.open("rb") as source, self._writing(name) as draft, draft.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)

    def get(self, name: str, path: Path, *, bytes_max: int) -> None:
        """Write an object into a file; raises Absent, Damaged, Away, and OSError of the file."""
        left = bytes_max
        with self._reading(name):
            source = (self._root / name).open("rb")
        with source, path.open("wb") as target:
            while block := self._block(source.fileno(), name):
                left -= len(block)
                if left < 0:
                    raise Damaged(name, f"is larger than {bytes_max:,} bytes", where=self.address)
                target.write(block)

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects beneath ``prefix/``; raises Away."""
        self._require_root(prefix)
        found = []

        def refused(error: OSError) -> None:
            """Let nothing be taken for nothing: who is told that there is no state begins anew."""
            if error.errno not in _GONE:
                raise self._away(prefix, error) from error

        for folder, _, files in os.walk(self._root / prefix, onerror=refused):
            beneath = Path(folder).relative_to(self._root)
            found += [str(beneath / file) for file in files if not file.startswith(".")]
        return sorted(found)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects and the folders that are empty then; raises Away."""
        for name in names:
            path = self._root / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise self._away(name, error) from error
            self._remove_empty(path.parent)

    def sweep(self, prefix: str, *, older_seconds: float) -> None:
        """Remove the drafts that a host left there which died while it wrote them."""
        until = time.time() - older_seconds
        for folder, _, files in os.walk(self._root / prefix):
            for draft in (Path(folder) / file for file in files if _DRAFT.fullmatch(file)):
                with contextlib.suppress(OSError):  # another has just done it
                    if draft.stat().st_mtime <= until:
                        draft.unlink()
                        self._remove_empty(draft.parent)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:  # others have something in it
                return
            folder = folder.parent

    def _block(self, descriptor: int, name: str) -> bytes:
        with self._reading(name):
            return os.read(descriptor, _BLOCK_BYTES)

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._require_root(name)
            if error.errno in _GONE:
                raise Absent(name, "is not there", where=self.address) from error
            raise self._away(name, error) from error

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        """Yield a draft that becomes the object when it was written without an error."""
        self._require_root(name)
        path = self._root / name
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise self._away(name, error) from error

    def _require_root(self, name: str) -> None:
        if not self._root.is_dir():
            fix = "mount its file system, or make the directory once by hand"
            raise Away(name, "the shared directory is not there", where=self.address, fix=fix)

    def _away(self, name: str, error: OSError) -> Away:
        return Away(name, str(error.strerror or error), where=self.address)
