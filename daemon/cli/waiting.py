"""Who is at work and why a fit waits: one view of the store, shared by all reading commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.identity import is_dead
from store.moments import moment_of
from store.reading import Reader
from store.reasons import WaitingContext, WaitingReason, waiting_reason
from store.records import FitRow, HostRow

OPEN_STATES = ("ready", "claimed", "running")


class Watch:
    """One look at the store: the moment, the living daemons, and what each ready fit waits for."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.now: datetime = moment_of(reader.now())
        self.hosts: tuple[HostRow, ...] = reader.hosts()
        at_work = {host.worker for host in self.hosts if host.state == "working"} | reader.leased_workers()
        self.workers = frozenset(worker for worker in at_work if not is_dead(worker))

    def reasons(self, fits: Sequence[FitRow]) -> dict[str, WaitingReason]:
        """Why each ready fit of these waits, by fit id.

        ``fits`` must hold all open fits of their plans: barrier and queue are counted among them.
        """
        ahead = {"cpu": 0, "gpu": 0}
        found: dict[str, WaitingReason] = {}
        cpu_open = _open_cpu_counts(fits)
        for fit in sorted(fits, key=lambda fit: -fit.priority):
            if fit.state != "ready":
                continue
            scope = fit.plan_id if fit.stage_barrier == "plan" else f"{fit.plan_id}\0{fit.job_id}"
            context = WaitingContext(
                now=self.now,
                daemons=len(self.workers),
                cpu_open=cpu_open.get(scope, 0),
                ahead=ahead[fit.stage],
            )
            reason = waiting_reason(fit, context)
            if reason is not None:
                found[fit.id] = reason
            ahead[fit.stage] += 1
        return found


def _open_cpu_counts(fits: Sequence[FitRow]) -> dict[str, int]:
    """Open CPU fits of each plan, and of each job of each plan."""
    counts: dict[str, int] = {}
    for fit in fits:
        if fit.stage == "cpu" and fit.state in OPEN_STATES:
            for scope in (fit.plan_id, f"{fit.plan_id}\0{fit.job_id}"):
                counts[scope] = counts.get(scope, 0) + 1
    return counts
