"""Object storage as a place of artefacts, through fsspec: S3, what speaks like it, and what else it knows.

Credentials come from the environment or the files of the service's own library, never from our settings.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fsspec import get_filesystem_class
from fsspec.core import url_to_fs

from daemon.artefacts.errors import Absent, Away, Damaged

# What libraries of object storage raise beside OSError; looked for only where they are loaded.
_RAISED = (
    *(("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError")),
    ("aiohttp", "ClientError"),
)
S3_PARTS_AT_ONCE = 2  # of a large file, 50 MB each in memory; ten, as its library has them, are a gigabyte
S3_PATIENCE = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 1}}
S3_HASTE = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 0}}


class RemoteObjects:
    """Objects of a bucket, or beneath a prefix of it."""

    def __init__(self, url: str, options: Mapping[str, Any], *, is_awaited: bool = False) -> None:
        self.address = url
        scheme = urlsplit(url).scheme
        told: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True, **options}
        if scheme in ("s3", "s3a"):
            told["config_kwargs"] = {
                **(S3_HASTE if is_awaited else S3_PATIENCE),
                **told.get("config_kwargs", {}),
            }
            told.setdefault("max_concurrency", S3_PARTS_AT_ONCE)
        try:
            get_filesystem_class(scheme)
            self._files, root = url_to_fs(url, **told)
        except (ImportError, ValueError, TypeError) as error:
            fix = "pip install 'trainwright[objects]', or the library that the message names"
            raise Away(scheme, f"cannot be spoken to: {error}", where=url, fix=fix) from error
        if hasattr(self._files, "retries"):
            self._files.retries = 1 if is_awaited else 2  # whoever asks has a patience of its own
        self._root = root.rstrip("/")

    def read(self, name: str, *, bytes_max: int) -> bytes:
        """Return a small object; raises Absent, Damaged, Away."""
        path = self._path(name)
        with self._asking(name):
            try:
                content: bytes = self._files.cat_file(path, start=0, end=bytes_max + 1)
            except OSError as error:
                if error.errno != errno.EINVAL or self._files.size(path) != 0:
                    raise
                content = b""  # an empty object has no first byte, and S3 refuses to look for it
        if len(content) > bytes_max:
            raise Damaged(name, f"is larger than {bytes_max:,} bytes", where=self.address)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Make an object; raises Away."""
        with self._asking(name, writing=True):
            self._files.pipe_file(self._path(name), content)

    def put(self, path: Path, name: str) -> None:
        """Make an object of a file; raises OSError when the file cannot be read, and Away."""
        os.close(os.open(path, os.O_RDONLY))
        with self._asking(name, writing=True):
            self._files.put_file(str(path), self._path(name))

    def get(self, name: str, path: Path, *, bytes_max: int) -> None:
        """Write an object into a file; raises Absent, Damaged, Away, and OSError of the file."""
        left = bytes_max
        with path.open("wb") as target:
            for block in self._blocks(name):
                left -= len(block)
                if left < 0:
                    raise Damaged(name, f"is larger than {bytes_max:,} bytes", where=self.address)
                target.write(block)

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects beneath ``prefix/``; raises Away."""
        found: list[str] = []
        with self._asking(prefix), suppress(FileNotFoundError):
            found = self._files.find(self._path(prefix))
        return sorted(str(path).removeprefix(f"{self._root}/") for path in found)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; raises Away."""
        for name in names:
            with self._asking(name), suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))

    def sweep(self, prefix: str, *, older_seconds: float) -> None:
        """Do nothing: an upload that was torn off is no object; a rule of the bucket ends it."""

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Yield an object's content; what fails on this side of it is no fault of the storage."""
        with self._asking(name):
            source = self._files.open(self._path(name), "rb", block_size=8 << 20, cache_type="readahead")
        with source:
            while True:
                with self._asking(name):
                    block: bytes = source.read(8 << 20)
                if not block:
                    return
                yield block

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _asking(self, name: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if writing:
                fix = "make the bucket, or correct its name"
                raise Away(name, "there is no such bucket", where=self.address, fix=fix) from error
            raise Absent(name, "is not there", where=self.address) from error
        except _raised() as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise Away(name, words, where=self.address) from error


def _raised() -> tuple[type[Exception], ...]:
    loaded = (getattr(sys.modules[module], name) for module, name in _RAISED if module in sys.modules)
    return OSError, *loaded
