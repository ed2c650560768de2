"""What must come out, by a plain model of fits: a few lines for each promise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from store import Claim, Failure, Plan, RetryPolicy, Room
from store.awaited import Awaited
from store.ordering import ClaimOrder

LOST = ("failed", "cancelled", "unavailable")
FINAL = ("succeeded", *LOST)
MICROSECONDS = 1_000_000
Scope = tuple[str | None, str | None, str | None]
Space = tuple[int | None, ...]  # cores, devices, bytes of memory; None: not counted


@dataclass(slots=True, kw_only=True)
class FitModel:
    """One fit; `state` is ready, leased or final, `claim` the one valid claim, times are microseconds."""

    id: str
    plan: str
    job: str
    stage: str
    order: tuple[int, int]
    needs: tuple[int, int, int]
    depends_on: tuple[str, ...]
    awaits: tuple[Awaited, ...]
    barrier: str
    labels: frozenset[str]
    state: str = "ready"
    cause: str = ""
    held: bool = False
    failures: int = 0
    expiries: int = 0
    not_before: int | None = None
    claim: Claim | None = None
    until: int = 0
    is_taken: bool = False  # the claim was taken over, or begun: nobody takes it over any more


@dataclass(slots=True, kw_only=True)
class StoreModel:
    """All fits, the pauses, and the hour; every method says what a call of the store must have done."""

    policy: RetryPolicy
    order: ClaimOrder = field(default_factory=ClaimOrder)
    now: int = 0
    queued: dict[str, int] = field(default_factory=dict)  # since when each plan waits, the older plan first
    fits: dict[str, FitModel] = field(default_factory=dict)
    pauses: set[Scope] = field(default_factory=set)
    draining: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def accept(self, plan: Plan) -> None:
        """A plan is there."""
        self.queued[plan.id] = self.now
        for job in plan.jobs:
            for fit in job.fits:
                gpu = fit.stage == "gpu"
                self.fits[fit.id] = FitModel(
                    id=fit.id, plan=plan.id, job=job.id, stage=fit.stage,
                    order=(-job.priority, fit.ordinal),
                    needs=(
                        int(not gpu) if fit.cores is None else fit.cores,
                        int(gpu) if fit.gpus is None else fit.gpus,
                        fit.memory_bytes,
                    ),
                    depends_on=fit.depends_on, awaits=fit.awaits, barrier=plan.stage_barrier,
                    labels=frozenset(fit.labels),
                )  # fmt: skip
        for job in plan.jobs:
            for fit in job.fits:
                self._give_up_in_vain(self.fits[fit.id])

    # -- questions ---

    def holds(self, claim: Claim) -> bool:
        """Whether a claim is the valid one of its fit."""
        return self.fits[claim.fit_id].claim is claim

    def leased(self) -> list[FitModel]:
        """The fits that somebody holds."""
        return [fit for fit in self.fits.values() if fit.state == "leased"]

    def ready(
        self, stage: str, *, plans: Collection[str] | None, host: str, labels: Collection[str] = ()
    ) -> list[FitModel]:
        """The fits that a claim may take, by plan those that come first before the others."""
        if host in self.draining | self.removed:
            return []
        offered = frozenset(labels)
        found = (
            fit for fit in self.fits.values() if self._is_due(fit, stage, host) and fit.labels <= offered
        )
        return sorted((fit for fit in found if plans is None or fit.plan in plans), key=_order)

    def due(
        self,
        stage: str,
        limit: int,
        *,
        plans: Collection[str] | None,
        room: Room | None,
        host: str,
        labels: Collection[str] = (),
    ) -> list[str]:
        """The fits a claim must take, in their order."""
        ready = self.ready(stage, plans=plans, host=host, labels=labels)
        space = (None, None, None) if room is None else _space(room)
        at_work = {plan: sum(fit.plan == plan for fit in self.leased()) for plan in self.queued}
        kept = [] if room is None or room.whole is None else self._kept(ready, at_work, space, room.whole)
        lines = {
            plan: [fit for fit in ready if fit.plan == plan and not _lacking(fit, space)][:limit]
            for plan in self.queued
        }
        chosen: list[str] = []
        while len(chosen) < limit and any(lines.values()):
            plan = min(
                (plan for plan, line in lines.items() if line),
                key=lambda plan: self._number(lines[plan][0], at_work),  # of equals the older plan's
            )
            fit = lines[plan].pop(0)
            number = self._number(fit, at_work)
            if _lacking(fit, space) or any(
                number > above and other != plan and any(fit.needs[place] for place in places)
                for other, above, places in kept
            ):
                continue
            chosen.append(fit.id)
            at_work[plan] += 1
            space = tuple(
                have if have is None else have - need for have, need in zip(space, fit.needs, strict=True)
            )
        return chosen

    def _number(self, fit: FitModel, at_work: Mapping[str, int]) -> float:
        waits = self.queued[fit.plan] + fit.order[0] * self.order.priority_step_seconds * MICROSECONDS
        return waits + at_work[fit.plan] * self.order.share_step_seconds * MICROSECONDS

    def _kept(
        self, ready: Iterable[FitModel], at_work: Mapping[str, int], space: Space, whole: Room
    ) -> list[tuple[str, float, list[int]]]:
        """For whom room is kept free, above which number, and of what: for the first fit of each plan."""
        firsts: dict[str, FitModel] = {}
        for fit in ready:
            if not _lacking(fit, _space(whole)):
                firsts.setdefault(fit.plan, fit)
        patience = self.order.priority_step_seconds * MICROSECONDS
        return [
            (plan, self._number(fit, at_work) + patience, places)
            for plan, fit in firsts.items()
            if (places := _lacking(fit, space))
        ]

    def _is_due(self, fit: FitModel, stage: str, host: str | None) -> bool:
        return (
            (fit.state, fit.stage, fit.held) == ("ready", stage, False)
            and (fit.not_before is None or fit.not_before <= self.now)
            and all(self.fits[needed].state == "succeeded" for needed in fit.depends_on)
            and all(self.fits[part].state in FINAL for group in fit.awaits for part in group.fits)
            and all(self._succeeded(group) >= group.at_least for group in fit.awaits)
            and not (stage == "gpu" and self.barred(fit))
            and not any(
                plan in (None, fit.plan) and of in (None, stage) and where in (None, host)
                for plan, of, where in self.pauses
            )
        )

    def barred(self, fit: FitModel) -> bool:
        """Whether a CPU fit that a GPU fit must wait for is open."""
        return any(
            other.stage == "cpu" and other.state not in FINAL and other.plan == fit.plan
            and (fit.barrier == "plan" or other.job == fit.job)
            for other in self.fits.values()
        )  # fmt: skip

    def expired(self, dead: Iterable[str] = ()) -> set[str]:
        """The fits a rescue must take."""
        return {
            fit.id
            for fit in self.leased()
            if fit.until < self.now or (fit.claim is not None and fit.claim.worker in dead)
        }

    # -- what happened ---

    def claimed(self, claim: Claim) -> None:
        """A claim was given out."""
        fit = self.fits[claim.fit_id]
        fit.state, fit.claim, fit.not_before, fit.is_taken = "leased", claim, None, False
        self.renewed(claim)

    def may_be_taken_over(self, claim: Claim) -> bool:
        """Whether a claim may go to somebody else: it is the last, and nobody has begun."""
        fit = self.fits[claim.fit_id]
        return fit.claim is not None and fit.claim.fence == claim.fence and not fit.is_taken

    def taken_over(self, claim: Claim) -> None:
        """A claim went to another worker, under its fence."""
        fit = self.fits[claim.fit_id]
        fit.claim, fit.is_taken = claim, True
        self.renewed(claim)

    def begun(self, fit_id: str) -> None:
        """The work at a fit began."""
        self.fits[fit_id].is_taken = True

    def renewed(self, claim: Claim) -> None:
        """A lease begins anew."""
        self.fits[claim.fit_id].until = self.now + round(claim.lease_seconds * MICROSECONDS)

    def released(self, fit_id: str) -> None:
        """A fit was given back."""
        self._is_open(self.fits[fit_id])

    def rescued(self, fit_id: str) -> None:
        """A fit was taken back."""
        fit = self.fits[fit_id]
        fit.expiries += 1
        if fit.expiries >= self.policy.expiries_max:
            self.ended(fit_id, "failed")
        else:
            self._is_open(fit)

    def failed(self, fit_id: str, failure: Failure) -> None:
        """An attempt failed."""
        fit, policy = self.fits[fit_id], self.policy
        match failure.cause:
            case "lost_worker":
                fit.expiries += 1
                again, wait = fit.expiries < policy.expiries_max, None
            case "disk_full":
                again, wait = True, policy.disk_seconds
            case "bad_input":
                fit.failures += 1
                again, wait = False, None
            case cause:
                fit.failures += 1
                again = failure.retryable and fit.failures < policy.attempts_max
                first = policy.memory_seconds if cause == "out_of_memory" else policy.backoff_seconds
                wait = min(policy.backoff_seconds_max, first * 2 ** (fit.failures - 1))
        if again:
            self._is_open(fit)
            fit.not_before = None if wait is None else self.now + round(wait * MICROSECONDS)
        else:
            self.ended(fit_id, "failed")

    def ended(self, fit_id: str, state: str, cause: str = "") -> None:
        """A fit is final, and with it those that wait for it in vain."""
        fit = self.fits[fit_id]
        fit.state, fit.claim, fit.cause = state, None, cause
        if state != "succeeded":
            for other in self._waiting_for(fit_id):
                if other.state == "ready":
                    self.ended(other.id, "unavailable", "dependency")
            for other in self._made_from(fit_id):
                self._give_up_in_vain(other)

    def retried(self, fit_id: str) -> None:
        """A fit is ready again, and with it those that were given up because of it."""
        fit = self.fits[fit_id]
        if all(other.state in FINAL for other in self.fits.values() if other.plan == fit.plan):
            self.queued[fit.plan] = self.now
        self._is_open(fit)
        fit.failures, fit.expiries, fit.not_before = 0, 0, None
        for needed in fit.depends_on:
            if self.fits[needed].state in LOST:
                self.retried(needed)
        for group in fit.awaits:
            for part in group.fits if self._is_short(group) else ():
                if self.fits[part].state in LOST:
                    self.retried(part)
        self._give_up_in_vain(fit)
        if fit.state in LOST:
            return
        for other in (*self._waiting_for(fit_id), *self._made_from(fit_id)):
            in_vain = any(self._is_short(group) for group in other.awaits)
            if (other.state, other.cause) == ("unavailable", "dependency") and not in_vain:
                self.retried(other.id)

    def _give_up_in_vain(self, fit: FitModel) -> None:
        if fit.state == "ready" and any(self._is_short(group) for group in fit.awaits):
            self.ended(fit.id, "unavailable", "dependency")

    def _is_short(self, group: Awaited) -> bool:
        return sum(self.fits[part].state not in LOST for part in group.fits) < group.at_least

    def _succeeded(self, group: Awaited) -> int:
        return sum(self.fits[part].state == "succeeded" for part in group.fits)

    def _made_from(self, fit_id: str) -> Iterator[FitModel]:
        return (fit for fit in self.fits.values() if any(fit_id in group.fits for group in fit.awaits))

    def _is_open(self, fit: FitModel) -> None:
        fit.state, fit.claim, fit.cause = "ready", None, ""

    def _waiting_for(self, fit_id: str) -> Iterator[FitModel]:
        return (fit for fit in self.fits.values() if fit_id in fit.depends_on)


def _order(fit: FitModel) -> tuple[int, int]:
    return fit.order


def _space(room: Room) -> Space:
    return (room.cores, room.gpus, room.memory_bytes)


def _lacking(fit: FitModel, space: Space) -> list[int]:
    """The places of what a fit needs and a space has too little of."""
    pairs = enumerate(zip(fit.needs, space, strict=True))
    return [place for place, (need, have) in pairs if have is not None and need > have]
