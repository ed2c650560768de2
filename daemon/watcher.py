"""The kernel's hint that something came into the drop folder; the folder is scanned on a timer too."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from daemon.bell import Bell
from daemon.timetable import RESCAN

log = structlog.get_logger("watcher")

_HEARD: list[type[FileSystemEvent]] = [DirMovedEvent, DirCreatedEvent, FileMovedEvent, FileCreatedEvent]


class Watcher(FileSystemEventHandler):
    """Rings when a name appears in a directory, and knows which names were renamed into it whole."""

    def __init__(self, directory: Path, bell: Bell) -> None:
        self._directory, self._bell = directory, bell
        self._moved_in: set[str] = set()
        self._observer = InotifyObserver(generate_full_events=True)

    def start(self) -> bool:
        """Begin to watch; False, with a line in the log, when the kernel has no watch left."""
        try:
            self._observer.schedule(self, str(self._directory), recursive=False, event_filter=_HEARD)
            self._observer.start()
        except OSError as error:
            log.warning("the drop folder is not watched, only scanned", cause=str(error))
            return False
        return True

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def moved_in(self) -> frozenset[str]:
        """Return the names renamed into the directory since the last call."""
        names: set[str] = set()
        while self._moved_in:
            names.add(self._moved_in.pop())
        return frozenset(names)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note what was renamed in from elsewhere, and ring (called in the observer's thread)."""
        arrived = os.fsdecode(event.dest_path or "")
        if isinstance(event, DirMovedEvent) and Path(arrived).parent == self._directory:
            self._moved_in.add(Path(arrived).name)
        self._bell.ring(RESCAN)
