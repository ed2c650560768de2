"""What is due at regular times. The timetable only rings; the loop does the work.

It goes by the monotonic clock: a machine whose time of day is set back an hour rings on. What is due at a
certain time of day is the schedule's (`daemon/schedule.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from daemon.bell import Bell

RESCAN, RESCUE, SEAL = "rescan", "rescue", "seal"


class Timetable:
    """A thread that rings the bell; in memory, since what is due follows from the settings."""

    def __init__(self, bell: Bell, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bell, self._clock = bell, clock
        self._spans: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def every(self, seconds: float, name: str) -> None:
        """Ring `name` every so many seconds from now on, once for all the times that were missed.

        Said again of the same name, the new span takes the place of the old one.
        """
        with self._changed:
            self._spans[name], self._due[name] = seconds, self._clock() + seconds
            self._changed.notify()

    def start(self) -> None:
        """Begin to ring, in a thread of its own."""
        self._thread = threading.Thread(target=self._ring_on, name="timetable", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ring no more; returns when the thread has ended."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def ring_due(self) -> float | None:
        """Ring what is due now; returns the seconds until the next ring, None when there is none."""
        now = self._clock()
        for name, due_at in self._due.items():
            if due_at <= now:
                next_at = due_at + self._spans[name]
                self._due[name] = next_at if next_at > now else now + self._spans[name]
                self._bell.ring(name)
        return None if not self._due else max(0.0, min(self._due.values()) - now)

    def _ring_on(self) -> None:
        with self._changed:
            while not self._ended:
                self._changed.wait(self.ring_due())
