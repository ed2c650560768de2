"""Takes fits back from leases that ended without a last word."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from daemon.identity import Identity, is_dead
from daemon.neighbours import Neighbours
from daemon.news import FitRescued, Tell, keep_quiet
from store.errors import DatabaseUnavailable
from store.plan_store import PlanStore
from store.records import Rescue

log = structlog.get_logger("rescuer")

JUMP_SECONDS = 2.0  # by which the database's clock may run off between two looks before it counts as set
RENEWAL_SECONDS = 5.0  # after a jump: every living worker has renewed its leases by the new clock by then


PACE_SECONDS = 0.02  # for each other worker, between two questions about all of them
PACE_SECONDS_MAX = 5.0


class ClockWatch:
    """Tells when the clock by which leases run out was set, or the machine slept: by the monotonic one.

    A database that was away is the same: nobody could renew, and all come back one by one.
    """

    def __init__(self, now: Callable[[], int], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now, self._monotonic = now, monotonic
        self._before: tuple[float, float, float] | None = None  # our clock before and after, the database's
        self._quiet_until = float("-inf")
        self._was_away = False

    def is_settling(self) -> bool:
        """Whether the clock was set, or the database came back, a moment ago; raises DatabaseUnavailable."""
        began = self._monotonic()
        try:
            told = self._now() / 1e6
        except DatabaseUnavailable:
            self._was_away = True
            raise
        ended = self._monotonic()
        if self._was_away:
            self._was_away = False
            self._quiet_until = ended + RENEWAL_SECONDS
        before, self._before = self._before, (began, ended, told)
        if before is not None:
            passed = told - before[2]
            least, most = began - before[1], ended - before[0]
            if not least - JUMP_SECONDS <= passed <= most + JUMP_SECONDS:
                self._quiet_until = ended + RENEWAL_SECONDS
                log.warning("the clock was set; no lease is taken back for a moment", seconds=passed - most)
        return ended < self._quiet_until


class Rescuer:
    """Takes fits back at the start, on a timer, and as soon as a process that holds a lease is seen to end.

    Processes of this host are watched one by one; what the database knows of others is told from outside.
    """

    def __init__(
        self,
        store: PlanStore,
        here: Identity,
        *,
        tell: Tell = keep_quiet,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._here = here
        self._tell = tell
        self._is_alone = not store.reading.is_shared
        self._neighbours = Neighbours(here)
        self._clock = ClockWatch(store.reading.now)
        self._monotonic = monotonic
        self._is_owed, self._look_at = False, float("-inf")
        self._new_until = 0.0
        self.is_waiting = False  # whether leases have run out that a new process does not take back yet
        self.others: frozenset[str] = frozenset()  # who else holds a lease, as of the last look

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors that become readable when a watched process ends."""
        return self._neighbours.descriptors()

    def begin(self) -> tuple[Rescue, ...]:
        """Take back at once what the dead left, and what ran out when all that live had time to renew.

        Whoever is new cannot know whether the database was away until now, or its clock was set.
        """
        self._new_until = self._new_until or self._monotonic() + RENEWAL_SECONDS
        return self.rescue()

    def pace(self) -> float:
        """Return the seconds between two questions about all others, so that a big fleet asks no more."""
        return 0.0 if self._is_alone else min(PACE_SECONDS_MAX, PACE_SECONDS * len(self.others))

    def look(self, *, moved: bool = True) -> None:
        """See who holds leases and watch them, once something `moved`; take back what belongs to the dead."""
        self._is_owed = self._is_owed or moved
        if not self._is_owed or self._monotonic() < self._look_at:
            return
        self._is_owed = False
        self._look_at = self._monotonic() + self.pace()
        try:
            self.others = self._store.reading.leased_workers() - {self._here.worker}
        except DatabaseUnavailable:
            return
        self._neighbours.watch(self.others)
        if any(self._is_dead(worker) for worker in self.others):
            self.rescue()

    def hear(self) -> None:
        """Take back the fits of watched processes that have ended since."""
        if self._neighbours.ended():
            self.rescue()

    def close(self) -> None:
        """Watch nobody any more."""
        self._neighbours.close()

    def rescue(self, gone: Collection[str] = ()) -> tuple[Rescue, ...]:
        """Take back what can be taken back and say so; nothing when the database does not answer.

        Nothing either just after its clock was set: all leases would seem to have run out together.
        `gone` are workers whose end was seen in another way.
        """
        try:
            if self._clock.is_settling():
                return ()
            is_new = self._monotonic() < self._new_until
            rescued = self._store.rescue(
                is_dead=lambda worker: worker in gone or self._is_dead(worker), by_time=not is_new
            )
            self.is_waiting = is_new and self._store.overdue() > 0
        except DatabaseUnavailable as error:
            log.warning("rescue put off", cause=str(error))
            return ()
        for one in rescued:
            log.warning(
                "fit taken back",
                plan=one.plan_id,
                job=one.job_id,
                fit=one.fit_id,
                attempt=one.attempt,
                name=f"{one.job_id}/{one.family}",
                cause=one.cause,
                lost_seconds=round(one.lost_seconds, 3),
                final=one.final,
            )
            self._tell(
                FitRescued(
                    fit=one.fit_id,
                    name=f"{one.job_id}/{one.family}",
                    cause=one.cause,
                    lost_seconds=one.lost_seconds,
                    final=one.final,
                )
            )
        return rescued

    def _is_dead(self, worker: str) -> bool:
        """Whether a worker is certainly gone, as far as this machine knows."""
        return is_dead(worker, here=self._here, alone=self._is_alone)
