"""The kernel's hints: what was renamed in whole is known by name, what cannot be known is looked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from daemon_samples import await_that, document, write_plan
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from daemon.bell import Bell
from daemon.watcher import ARRIVED, CHANGED, Watcher


@pytest.fixture
def bell() -> Iterator[Bell]:
    """A bell."""
    made = Bell()
    yield made
    made.close()


@pytest.fixture
def watcher(bell: Bell) -> Iterator[Watcher]:
    """A watcher that watches nothing yet."""
    made = Watcher(bell)
    yield made
    made.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to be watched."""
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def follow(watcher: Watcher) -> Iterator[Callable[[Path], bool]]:
    """Has a directory watched by its descriptor."""
    held: list[int] = []

    def begin(path: Path) -> bool:
        held.append(os.open(path, os.O_RDONLY))
        return watcher.follow(held[-1])

    yield begin
    for descriptor in held:
        os.close(descriptor)


def test_what_was_renamed_in_is_known_by_name(
    watcher: Watcher, bell: Bell, folder: Path, tmp_path: Path, follow: Callable[[Path], bool]
) -> None:
    """A directory made in the folder is to be looked for; one renamed in is known to be whole."""
    assert follow(folder)
    assert watcher.works
    (folder / "copied").mkdir()
    await_that(lambda: CHANGED in bell.heard(), "ring")
    assert watcher.moved_in() == frozenset()
    write_plan(tmp_path / "elsewhere", document()).rename(folder / "whole")
    write_plan(folder / ".hidden", document()).rename(folder / "shown")
    seen: set[str] = set()
    await_that(lambda: seen.update(watcher.moved_in()) or seen == {"whole", "shown"}, "two names")
    await_that(lambda: ARRIVED in bell.heard(), "ring")


def test_another_folder_is_followed_in_its_place(
    watcher: Watcher, bell: Bell, folder: Path, tmp_path: Path, follow: Callable[[Path], bool]
) -> None:
    """The watch goes to the directory that is held, not to its name; the old one rings no more."""
    follow(folder)
    folder.rename(tmp_path / "old")
    await_that(lambda: CHANGED in bell.heard(), "ring for the move")
    folder.mkdir()
    follow(folder)
    write_plan(tmp_path / "old" / "whole", document())
    write_plan(tmp_path / "made", document()).rename(folder / "new")
    assert await_that(watcher.moved_in, "name") == {"new"}


def test_a_folder_that_is_removed_rings(
    watcher: Watcher, bell: Bell, folder: Path, follow: Callable[[Path], bool]
) -> None:
    """The end of the watched directory is told, and that nothing is watched any more."""
    held = folder / "inner"
    held.mkdir()
    descriptor = os.open(held, os.O_RDONLY)
    watcher.follow(descriptor)
    os.close(descriptor)
    held.rmdir()
    await_that(lambda: CHANGED in bell.heard(), "ring")
    await_that(lambda: not watcher.works, "end of the watch")
    assert follow(folder)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
@pytest.mark.parametrize("where", ["__init__", "add_callback"])
def test_without_a_watch_the_folder_is_scanned_and_watched_later(
    number: int,
    where: str,
    watcher: Watcher,
    folder: Path,
    tmp_path: Path,
    follow: Callable[[Path], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel without instances or watches left is tried again; then names are known as ever."""

    def none_left(*_words: object) -> None:
        raise OSError(number, "inotify limit reached")

    with monkeypatch.context() as patch:
        patch.setattr(InotifyFD, where, none_left)
        assert [follow(folder) for _ in range(3)] == [False] * 3
        assert not watcher.works
    assert follow(folder)
    write_plan(tmp_path / "made", document()).rename(folder / "whole")
    assert await_that(watcher.moved_in, "name") == {"whole"}


def test_lost_events_are_looked_for(bell: Bell, watcher: Watcher, folder: Path) -> None:
    """An overflow of the kernel's queue, as its reader hears it, rings for a look through the folder."""
    inotify = InotifyFD()
    descriptor = inotify.add_callback(
        os.fsencode(folder), Mask(InotifyConstants.IN_CREATE), watcher, CallbackId(1)
    )
    inotify.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    assert bell.heard() == {CHANGED}
    inotify.remove_callbacks([(descriptor, CallbackId(1))])
    inotify.start()
    inotify.stop()
    inotify.join()
