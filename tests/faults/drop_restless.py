"""A producer that never rests: what it lays into the drop folder changes while it is read, and vanishes."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from drop_breaks import MASTER
from drop_site import RESTLESS, Site


class Restless(threading.Thread):
    """Lays, swaps and takes away directories of the drop folder until it is told to end."""

    def __init__(self, site: Site, *, seed: int) -> None:
        super().__init__(daemon=True)
        self._site, self._chance = site, Random(seed)  # noqa: S311 (guards nothing)
        self._ended = threading.Event()
        self.changes = 0

    def run(self) -> None:
        """Change something every millisecond or so."""
        acts: tuple[Callable[[Path], None], ...] = (
            *(
                self._lay,
                self._lay,
                self._cut,
                self._swap_master,
                self._swap_directory,
                self._vanish,
                self._rename,
            ),
        )
        for number in itertools.count():
            if self._ended.wait(0.001):
                break
            name = f"{RESTLESS}{number % 7}"
            with suppress(OSError):  # the daemon has just taken it away
                self._chance.choice(acts)(self._site.inbox / name)
                self.changes += 1

    def end(self) -> None:
        """Stop, and take away what is left."""
        self._ended.set()
        self.join()
        for path in self._site.inbox.glob(f"{RESTLESS}*"):
            _remove(path)

    def _lay(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self._write(path, b"{")  # never whole: it must not become a plan

    def _cut(self, path: Path) -> None:
        self._write(path, b"")

    def _write(self, path: Path, content: bytes) -> None:
        with _inside(path) as folder_fd:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(MASTER, flags, 0o644, dir_fd=folder_fd)
            os.write(descriptor, content)
            os.close(descriptor)

    def _swap_master(self, path: Path) -> None:
        """The file that was looked at is a link to the outside when it is opened."""
        with _inside(path) as folder_fd:
            os.symlink(self._site.outside / MASTER, "swap", dir_fd=folder_fd)
            os.rename("swap", MASTER, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)

    def _swap_directory(self, path: Path) -> None:
        """The directory that was looked at is a link to the outside when it is entered."""
        _remove(path)
        path.symlink_to(self._site.outside)

    def _vanish(self, path: Path) -> None:
        _remove(path)

    def _rename(self, path: Path) -> None:
        path.rename(path.with_name(f"{RESTLESS}{self._chance.randrange(7)}"))


@contextmanager
def _inside(path: Path) -> Iterator[int]:
    """A descriptor of a directory, never through a link: nothing outside is harmed by us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
