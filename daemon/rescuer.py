"""Takes fits back from leases that ended without a last word."""

from __future__ import annotations

import structlog

from daemon.identity import Identity, is_dead
from daemon.news import FitRescued, Tell, keep_quiet
from store.errors import DatabaseUnavailable
from store.plan_store import PlanStore
from store.records import Rescue

log = structlog.get_logger("rescuer")


class Rescuer:
    """Rescues at the start and on a timer: leases that ran out, and those of dead processes of this host."""

    def __init__(self, store: PlanStore, here: Identity, *, tell: Tell = keep_quiet) -> None:
        self._store = store
        self._here = here
        self._tell = tell

    def rescue(self) -> tuple[Rescue, ...]:
        """Take back what can be taken back and say so; nothing when the database does not answer."""
        try:
            rescued = self._store.rescue(is_dead=lambda worker: is_dead(worker, here=self._here))
        except DatabaseUnavailable as error:
            log.warning("rescue put off", cause=str(error))
            return ()
        for one in rescued:
            log.warning(
                "fit taken back",
                fit=one.fit_id,
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
