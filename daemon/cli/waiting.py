"""Who is at work and why fits wait: one look at the store, shared by all reading commands.

A store may hold many thousand ready fits. A few are asked about one by one; of many the look only counts, and
says of each what holds for its kind.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property

from daemon.identity import is_dead
from store.moments import moment_of
from store.reading import Reader
from store.reasons import WaitingContext, WaitingReason, waiting_reason
from store.records import FitRow, HostRow, PlanRow

OPEN_STATES = ("ready", "claimed", "running")
ASKED_ONE_BY_ONE = 60  # ready fits; of more the place in the queue is not told
STAGES = ("cpu", "gpu")
QUEUED = WaitingReason(code="Priority", words="the most urgent come first")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WaitingGroup:
    """How many fits of a stage wait for the same thing."""

    stage: str
    code: str
    words: str
    fits: int


class Watch:
    """One look at the store: the moment, the living daemons, and what ready fits wait for."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.now: datetime = moment_of(reader.now())
        self.hosts: tuple[HostRow, ...] = reader.hosts()
        at_work = {host.worker for host in self.hosts if host.state == "working"} | reader.leased_workers()
        self.workers = frozenset(worker for worker in at_work if not is_dead(worker))
        self._cpu_open: dict[str, int] = {}

    @cached_property
    def ready(self) -> int:
        """How many fits are ready, over all plans."""
        counts = self.reader.fit_counts()
        return sum(count for (_, state), count in counts.items() if state == "ready")

    def reasons(self, fits: Collection[FitRow]) -> dict[str, WaitingReason]:
        """Why each ready fit of these waits, by fit id; of many without their places in the queue."""
        waiting = [fit for fit in fits if fit.state == "ready"]
        told = self.reason if len(waiting) <= ASKED_ONE_BY_ONE else self._told_of_many
        found = {fit.id: told(fit) for fit in waiting}
        return {fit_id: reason for fit_id, reason in found.items() if reason is not None}

    def reason(self, fit: FitRow) -> WaitingReason | None:
        """Why one fit waits, with its place in the queue; None when it does not wait."""
        reason = self._told_of_many(fit)
        if reason is not QUEUED:
            return reason  # its place in the queue does not matter yet, and is dear to count
        context = self.reader.waiting_context(fit)
        return waiting_reason(fit, dataclasses.replace(context, daemons=len(self.workers)))

    def groups(self, plans: Sequence[PlanRow]) -> tuple[WaitingGroup, ...]:
        """What the ready fits of the open plans wait for, counted by stage and reason."""
        if self.ready > ASKED_ONE_BY_ONE:
            counts = self._counted(plans)
        else:
            waiting = self.reader.fits(states=("ready",)) if self.ready else ()
            told = [(fit.stage, self._told_of_many(fit)) for fit in waiting]
            counts = Counter((stage, reason) for stage, reason in told if reason is not None)
        return tuple(
            WaitingGroup(stage=stage, code=reason.code, words=reason.words, fits=fits)
            for (stage, reason), fits in sorted(counts.items(), key=lambda item: (item[0][0], -item[1]))
        )

    def _counted(self, plans: Sequence[PlanRow]) -> Counter[tuple[str, WaitingReason]]:
        """The groups of many ready fits: the first of each stage of each plan speaks for all of them."""
        counts: Counter[tuple[str, WaitingReason]] = Counter()
        for plan in plans:
            by_state = self.reader.fit_counts(plan.id) if plan.open else {}
            for stage in STAGES:
                ready = by_state.get((stage, "ready"), 0)
                if ready:
                    counts[stage, self._told_of_stage(plan, stage)] += ready
        return counts

    def _told_of_stage(self, plan: PlanRow, stage: str) -> WaitingReason:
        if not self.workers:
            return WaitingReason(
                code="NoWorker", words="no daemon is at work; start one with: trainwright daemon"
            )
        cpu_open = self._cpu_open_of(plan.id) if stage == "gpu" else 0
        if cpu_open:
            scope = "each for those of its own job, " if plan.stage_barrier == "job" else ""
            words = f"{scope}{cpu_open} CPU fits of the plan must end before its GPU fits start"
            return WaitingReason(code="WaitingForCpuStage", words=words)
        return QUEUED

    def _told_of_many(self, fit: FitRow) -> WaitingReason | None:
        """Why a fit waits, one query for each plan or, where jobs hold up their own fits, for each job."""
        cpu_open = 0
        if fit.stage == "gpu":
            by_job = fit.stage_barrier == "job"
            cpu_open = self._cpu_open_of(fit.plan_id, fit.job_id if by_job else None)
        context = WaitingContext(now=self.now, daemons=len(self.workers), cpu_open=cpu_open)
        reason = waiting_reason(fit, context)
        return QUEUED if reason is not None and reason.code == "Next" else reason

    def _cpu_open_of(self, plan_id: str, job_id: str | None = None) -> int:
        """How many CPU fits of a plan, or of one job of it, have not ended."""
        scope = f"{plan_id}\0{job_id or ''}"
        if scope not in self._cpu_open:
            if job_id is None:
                counts = self.reader.fit_counts(plan_id)
                self._cpu_open[scope] = sum(counts.get(("cpu", state), 0) for state in OPEN_STATES)
            else:
                rows = self.reader.fits(plan=plan_id, job=job_id, states=OPEN_STATES)
                self._cpu_open[scope] = sum(row.stage == "cpu" for row in rows)
        return self._cpu_open[scope]
