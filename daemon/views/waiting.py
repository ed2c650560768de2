"""Who is at work and why fits wait: one look at the store, shared by all reading commands.

A store may hold many thousand ready fits. A few are asked about one by one; of many the look only counts, and
says of each what holds for its kind.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cached_property, partial

from daemon.identity import is_dead, own_identity
from daemon.views.words import counted
from store.ids import host_of
from store.reading import Reader
from store.reasons import WaitingReason, waiting_reason
from store.records import FitRow, HostRow, PauseRow, PlanRow, ReadyGroup, Room

WAITING_STATES = ("ready", "unavailable")  # those that have a reason
AT_WORK = ("claimed", "running")  # those too, when their daemon is known to be gone
ASKED_ONE_BY_ONE = 60  # ready fits; of more the place in the queue is not told
QUEUED = WaitingReason(code="Priority", words="the most urgent come first")
ALWAYS_ASKED, COUNTED_MAX = 4, 40_000  # fits; fits looked at for their places together
HEADS_ASKED = 8  # plans whose first fit is asked about
OF_MANY = {
    "Held": "held back one by one; why tells by whom, release lets them go",
    "Dependency": "each needs other fits that have not succeeded yet",
    "Backoff": "they failed and are tried again after a while",
    "DiskLow": "the disk was full; they are tried again after a while",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WaitingGroup:
    """How many fits of a stage wait for the same thing."""

    stage: str
    code: str
    words: str
    fits: int


def alive_then(_worker: str) -> bool:
    """Return False: of the past only what the log says is known, and it says who stopped."""
    return False


def dead_as_seen_by(reader: Reader) -> Callable[[str], bool]:
    """Return what tells of a worker's name on this log whether its process is certainly gone."""
    return partial(is_dead, here=own_identity(), alone=not reader.is_shared)


class Watch:
    """One look at the store: the moment, the living daemons, and what ready fits wait for."""

    def __init__(self, reader: Reader, *, is_dead: Callable[[str], bool] | None = None) -> None:
        self.reader, self._is_dead = reader, is_dead or dead_as_seen_by(reader)
        self._around = reader.surroundings(is_dead=self._is_dead)
        self.now: datetime = self._around.now
        self.hosts: tuple[HostRow, ...] = reader.hosts()
        self.pauses: tuple[PauseRow, ...] = self._around.pauses
        self.workers = self._around.workers
        self._context = self._around.context
        self._cpu_open: dict[str, int] = {}

    @cached_property
    def of_several(self) -> bool:
        """Whether more than one host works on this log, agents' among them."""
        known = {row.host for row in self.hosts if row.removed_at is None}
        return len(known | {host_of(worker) for worker in self.workers}) > 1

    def is_gone(self, worker: str) -> bool:
        """Whether a worker's process has certainly ended; of other machines' that cannot be known."""
        return self._is_dead(worker)

    @cached_property
    def _groups(self) -> tuple[ReadyGroup, ...]:
        return self.reader.ready_groups()

    @property
    def ready(self) -> int:
        """How many fits are ready, over all plans."""
        return sum(group.fits for group in self._groups)

    @property
    def held(self) -> int:
        """How many of them are held back."""
        return sum(group.fits for group in self._groups if group.held)

    @property
    def cpu_slots(self) -> int:
        """How many places of the CPU stage the daemons at work have, one for each that did not say."""
        return self._places(lambda room: room.cores)

    @property
    def gpu_slots(self) -> int:
        """How many places of the GPU stage they have."""
        return self._places(lambda room: room.gpus)

    def _places(self, of: Callable[[Room], int]) -> int:
        rooms = self._context.rooms
        if rooms is None:
            return len(self.workers)
        return sum(of(room.whole) for room in rooms if room.whole is not None)

    def reasons(self, fits: Collection[FitRow]) -> dict[str, WaitingReason]:
        """Why each of these fits does not run, by its id; of many ready ones without their place."""
        waiting = [fit for fit in fits if fit.state in WAITING_STATES]
        few = self._is_cheap(sum(fit.state == "ready" for fit in waiting))
        told = self.reason if few else self._told_of_many
        found = {fit.id: told(fit) for fit in waiting}
        found |= {fit.id: self.abandoned(fit) for fit in fits if fit.state in AT_WORK}
        return {fit_id: reason for fit_id, reason in found.items() if reason is not None}

    def _is_cheap(self, asked: int) -> bool:
        """Whether so many fits can be asked about one by one: each counts those that come before it."""
        if asked <= ALWAYS_ASKED:
            return True
        return asked <= ASKED_ONE_BY_ONE and asked * self.ready <= COUNTED_MAX

    def reason(self, fit: FitRow) -> WaitingReason | None:
        """Why one fit does not run, with its place in the queue; None when nothing keeps it."""
        if fit.state in AT_WORK:
            return self.abandoned(fit)
        reason = self._told_of_many(fit)
        if reason is None or reason.code not in ("Priority", "Held", "Dependency") or fit.state != "ready":
            return reason  # its place in the queue does not matter yet, and is dear to count
        return waiting_reason(fit, self.reader.waiting_context(fit, is_dead=self._is_dead))

    def abandoned(self, fit: FitRow) -> WaitingReason | None:
        """What becomes of a fit that is called running though its daemon is known to be gone."""
        if fit.state not in AT_WORK or fit.worker in self.workers:
            return None
        saved = f"step {fit.checkpoint_step:,}" if fit.checkpoint_step else "the beginning"
        when = "on another host, in a moment" if self.workers else "when a daemon starts"
        words = f"its process is gone; resumes from {saved} {when}"
        return WaitingReason(code="NoWorker", words=words)

    def groups(self, plans: Sequence[PlanRow]) -> tuple[WaitingGroup, ...]:
        """What the ready fits of the open plans wait for, counted by stage and reason."""
        if self.ready > ASKED_ONE_BY_ONE:
            counts = self._counted(plans)
        else:
            waiting = self.reader.fits(states=("ready",)) if self.ready else ()
            told = [(fit.stage, self._told_of_many(fit)) for fit in waiting]
            counts = Counter((stage, reason) for stage, reason in told if reason is not None)
        queues = {stage: self._head_reason(stage) for stage, reason in counts if reason == QUEUED}
        known = (
            (stage, queues.get(stage, reason) if reason == QUEUED else reason, fits)
            for (stage, reason), fits in sorted(counts.items(), key=lambda item: (item[0][0], -item[1]))
        )
        return tuple(
            WaitingGroup(stage=stage, code=reason.code, words=reason.words, fits=fits)
            for stage, reason, fits in known
        )

    def _head_reason(self, stage: str) -> WaitingReason:
        """Why the first of a stage's queue waits, so why all of it does; QUEUED where it is its turn."""
        heads = self.reader.queue_heads(stage)[:HEADS_ASKED]
        running = sum(fit.stage == stage for fit in self.reader.fits(states=("claimed", "running")))
        context = dataclasses.replace(self._context, ahead=0, running=running)
        asked = (waiting_reason(self.reader.fit(fit_id), context) for fit_id in heads)
        return next((one for one in asked if one is not None and one.code != "Next"), QUEUED)

    def _counted(self, plans: Sequence[PlanRow]) -> Counter[tuple[str, WaitingReason]]:
        """The groups of many ready fits: one of each kind speaks for all of its kind."""
        barriers = {plan.id: plan.stage_barrier for plan in plans}
        counts: Counter[tuple[str, WaitingReason]] = Counter()
        for group in self._groups:
            reason = self._told_of_many(self.reader.fit(group.first), barriers.get(group.plan_id))
            if reason is not None:
                words = OF_MANY.get(reason.code, reason.words)
                counts[group.stage, dataclasses.replace(reason, words=words)] += group.fits
        return counts

    def _told_of_many(self, fit: FitRow, group_barrier: str | None = None) -> WaitingReason | None:
        """Why a fit does not run: one query for each plan, or for each job where jobs hold up their own fits.

        For a group of fits under a barrier by job the CPU fits of the whole plan are counted.
        """
        cpu_open, of_group = 0, group_barrier == "job"
        if fit.stage == "gpu" and fit.state == "ready":
            by_job = fit.stage_barrier == "job" and not of_group
            cpu_open = self._cpu_open_of(fit.plan_id, fit.job_id if by_job else None)
        reason = waiting_reason(fit, dataclasses.replace(self._context, cpu_open=cpu_open))
        if reason is not None and reason.code == "WaitingForCpuStage" and of_group:
            which = f"each for those of its own job, {counted(cpu_open, 'CPU fit')} of the plan"
            words = f"{which} must end before its GPU fits start"
            return dataclasses.replace(reason, words=words)
        return QUEUED if reason is not None and reason.code in ("Next", "Priority") else reason

    def _cpu_open_of(self, plan_id: str, job_id: str | None = None) -> int:
        """How many CPU fits of a plan, or of one job of it, have not ended."""
        scope = f"{plan_id}\0{job_id or ''}"
        if scope not in self._cpu_open:
            self._cpu_open[scope] = self.reader.cpu_open(plan_id, job_id)
        return self._cpu_open[scope]
