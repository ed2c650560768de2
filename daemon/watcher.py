"""The kernel's hint that something came into the drop folder; the folder is scanned on a timer too.

The events are taken as the kernel says them: a whole directory renamed in is told apart from one that is made
there, and none is held back to find its pair. Where the kernel has lost events the folder is looked through.
"""

from __future__ import annotations

import os
import threading

import structlog
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from daemon.bell import Bell

ARRIVED, CHANGED = "inbox arrived", "inbox changed"
_HEARD = Mask(
    InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
)

log = structlog.get_logger("watcher")


class Watcher:
    """Rings when a name appears in a directory, and knows which names were renamed into it whole.

    `ARRIVED` rings for those. `CHANGED` rings when the directory has to be looked through: something is being
    made in it, the kernel has lost events, or the directory itself has gone.
    """

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._moved_in: set[str] = set()
        self._guard = threading.Lock()
        self._inotify: InotifyFD | None = None
        self._watch: WatchDescriptor | None = None
        self._failed: str | None = None

    @property
    def works(self) -> bool:
        """Whether the kernel watches."""
        return self._watch is not None

    def follow(self, descriptor: int) -> bool:
        """Watch the directory of a descriptor and no other.

        Returns:
            False when the kernel has no watch left, which the log says once: ask again later.
        """
        try:
            if self._inotify is None:
                self._inotify = InotifyFD()
                self._inotify.start()
            self._let_go()
            watch = self._inotify.add_callback(
                f"/proc/self/fd/{descriptor}".encode(),
                _HEARD,
                self,
                CallbackId(id(self)),
            )
        except OSError as error:
            if str(error) != self._failed:
                log.warning("the drop folder is not watched, only scanned", cause=str(error))
            self._failed = str(error)
            return False
        with self._guard:
            self._watch = watch
        if self._failed is not None:
            log.info("the drop folder is watched again")
            self._failed = None
        return True

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended."""
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join()
        self._inotify = self._watch = None

    def moved_in(self) -> frozenset[str]:
        """Return the names renamed into the directory since the last call."""
        with self._guard:
            names, self._moved_in = frozenset(self._moved_in), set()
        return names

    def on_event(self, event: InotifyEvent) -> None:
        """Note what was renamed in, and ring (called in the thread that reads)."""
        if event.is_moved_to and event.is_directory:
            with self._guard:
                self._moved_in.add(os.fsdecode(event.name))
            self._bell.ring(ARRIVED)
        else:
            self._bell.ring(CHANGED)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Ring: the directory is gone, and another may have its name."""
        with self._guard:
            if self._watch == wd:
                self._watch = None
        self._bell.ring(CHANGED)

    def on_queue_overflow(self) -> None:
        """Ring: names came in that nobody can tell."""
        self._bell.ring(CHANGED)

    def _let_go(self) -> None:
        with self._guard:
            watch, self._watch = self._watch, None
            self._moved_in.clear()
        if watch is not None and self._inotify is not None:
            self._inotify.remove_callbacks([(watch, CallbackId(id(self)))])
