"""What is due at regular times. The timetable only rings; the loop does the work."""

from __future__ import annotations

from datetime import UTC, timezone

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from daemon.bell import Bell

RESCAN, RESCUE, ALIVE, SEAL = "rescan", "rescue", "alive", "seal"


class Timetable:
    """A background scheduler that rings the bell; in memory, since what is due follows from the settings."""

    def __init__(self, bell: Bell, *, zone: timezone = UTC) -> None:
        self._bell = bell
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=zone,
        )

    def every(self, seconds: float, name: str) -> None:
        """Ring `name` every so many seconds from now on, once for all the times that were missed."""
        self._scheduler.add_job(self._bell.ring, "interval", args=(name,), seconds=seconds, id=name)

    def start(self) -> None:
        """Begin to ring, in a thread of its own."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more; returns when the thread has ended."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
