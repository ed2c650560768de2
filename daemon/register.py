"""What a daemon says of itself in the event log: that it began, what it was told, how it ended.

Beside the log it leaves a sign of life in a file, so that whoever comes after a power cut knows when it was,
and after an error which.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version

import structlog

from daemon.identity import Identity, booted_at, unit_name
from daemon.reloading import Reloaded
from daemon.settings import Settings
from daemon.signs import Signs, read_signs
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable
from store.host_events import DaemonReloaded, DaemonStarted, DaemonStopped
from store.plan_store import PlanStore

log = structlog.get_logger("register")

BEAT_SECONDS, BEAT_SECONDS_ALONE = 5.0, 30.0  # on a log that several hosts share, and on one host's own
TROUBLE_LENGTH_MAX = 500


class Register:
    """The entries of one daemon; `running` tells how many fits it has at work, `trouble` what it lacks."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        here: Identity,
        *,
        running: Callable[[], int] = lambda: 0,
        trouble: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._store, self._here = settings, store, here
        self._running, self._trouble, self._clock = running, trouble, clock
        self._beat_seconds = BEAT_SECONDS if store.reading.is_shared else BEAT_SECONDS_ALONE
        self._beat_at = self._told_at = float("-inf")
        self._told = ""  # with the last beat
        self._path = Workplace.of(settings).signs_path
        self._signs = Signs(self._path, here.worker)
        self._has_begun = False

    def start(self) -> datetime | None:
        """Record the start with how the daemon before this one ended; returns when that one began, if any.

        Whoever has the host's place knows that the one before is gone. Raises DatabaseUnavailable.
        """
        here, settings = self._here, self._settings
        known = next((row for row in self._store.reading.hosts() if row.host == here.host), None)
        before = self._store.daemon_started(
            DaemonStarted(
                worker=here.worker,
                host=here.host,
                version=version("trainwright"),
                boot_id=here.boot_id,
                pid=here.pid,
                cpu_slots=settings.room.cores,
                gpu_slots=settings.room.gpus,
                memory_bytes=settings.room.memory_bytes,
                priority_step_seconds=settings.priority_step_seconds,
                share_step_seconds=settings.share_step_seconds,
                booted_at=booted_at(),
                unit=unit_name(),
                labels=settings.own_labels,
                machine=here.machine,
                engine=settings.engine,
            ),
            is_dead=lambda _worker: True,
            last=read_signs(self._path, known.worker if known else None),
        )
        self._has_begun = True
        self.turn()
        log.info(
            "daemon started",
            worker=here.worker,
            previous_stop=before.cause,
            clean=before.clean,
            previous_stop_at=before.at.isoformat() if before.at else None,
        )
        return known.started_at if known else None

    def turn(self) -> None:
        """Give a sign of life when it is time to: in the file, and to the hosts beside this one."""
        self._signs.turn()
        now, trouble = self._clock(), self._trouble()[:TROUBLE_LENGTH_MAX]
        is_news = trouble != self._told and now >= self._told_at + BEAT_SECONDS
        if now < self._beat_at and not is_news:
            return
        self._beat_at, self._told_at, self._told = now + self._beat_seconds, now, trouble
        try:
            self._store.beat(self._here.host, self._here.worker, running=self._running(), trouble=trouble)
        except DatabaseUnavailable as error:  # a full disk: what matters finds that out by itself
            log.debug("no sign of life in the event log", cause=str(error))

    def reloaded(self, found: Reloaded) -> None:
        """Record what came of reading the configuration again. Raises DatabaseUnavailable."""
        if found.problem:
            log.error("the configuration was not taken; the old one holds", problem=found.problem)
        else:
            log.info("configuration read", changed=found.changed, restart_needed=found.restart_needed)
        self._store.daemon_said(
            DaemonReloaded(
                worker=self._here.worker,
                host=self._here.host,
                changed=found.changed,
                restart_needed=found.restart_needed,
                problem=found.problem,
                cpu_slots=found.settings.room.cores,
                gpu_slots=found.settings.room.gpus,
                memory_bytes=found.settings.room.memory_bytes,
                priority_step_seconds=found.settings.priority_step_seconds,
                share_step_seconds=found.settings.share_step_seconds,
                labels=found.settings.own_labels,
            )
        )

    def stopped(self, cause: str, *, seconds: float, ended: int) -> None:
        """Record the stop; where the event log does not answer the next daemon finds it in the file."""
        if not self._has_begun:
            return
        word = DaemonStopped(
            worker=self._here.worker,
            host=self._here.host,
            cause=cause,
            seconds=round(seconds, 3),
            ended=ended,
        )
        try:
            self._store.daemon_said(word)
        except DatabaseUnavailable as error:
            self._signs.last_words(f"stopped: {cause}, while the event log did not answer")
            log.warning("the stop is not in the event log", cause=str(error))

    def failed(self, error: Exception) -> None:
        """Leave word of an error that ends the daemon."""
        if self._has_begun:
            self._signs.last_words(f"it ended with an error: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Let go of the file."""
        self._signs.close()
