"""What must come out, by a plain model of fits: a few lines for each promise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from store import Claim, Failure, Plan, RetryPolicy
from store.awaited import Awaited
from store.choosing import Room

LOST = ("failed", "cancelled", "unavailable")
FINAL = ("succeeded", *LOST)
MICROSECONDS = 1_000_000
Scope = tuple[str | None, str | None, str | None]


@dataclass(slots=True, kw_only=True)
class FitModel:
    """One fit; `state` is ready, leased or final, `claim` the one valid claim, times are microseconds."""

    id: str
    plan: str
    job: str
    stage: str
    order: tuple[int, int, int]
    needs: tuple[int, int, int]
    depends_on: tuple[str, ...]
    awaits: tuple[Awaited, ...]
    barrier: str
    state: str = "ready"
    cause: str = ""
    held: bool = False
    failures: int = 0
    expiries: int = 0
    not_before: int | None = None
    claim: Claim | None = None
    until: int = 0


@dataclass(slots=True, kw_only=True)
class StoreModel:
    """All fits, the pauses, and the hour; every method says what a call of the store must have done."""

    policy: RetryPolicy
    now: int = 0
    fits: dict[str, FitModel] = field(default_factory=dict)
    pauses: set[Scope] = field(default_factory=set)

    def accept(self, plan: Plan, number: int) -> None:
        """A plan is there, the `number`-th."""
        for job in plan.jobs:
            for fit in job.fits:
                gpu = fit.stage == "gpu"
                self.fits[fit.id] = FitModel(
                    id=fit.id, plan=plan.id, job=job.id, stage=fit.stage,
                    order=(-job.priority, number, fit.ordinal),
                    needs=(
                        int(not gpu) if fit.cores is None else fit.cores,
                        int(gpu) if fit.gpus is None else fit.gpus,
                        fit.memory_bytes,
                    ),
                    depends_on=fit.depends_on, awaits=fit.awaits, barrier=plan.stage_barrier,
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

    def due(
        self, stage: str, limit: int, *, plans: Collection[str] | None, room: Room | None, host: str | None
    ) -> list[str]:
        """The fits a claim must take, in their order."""
        ready = sorted((fit for fit in self.fits.values() if self._is_due(fit, stage, host)), key=_order)
        if plans is not None:
            ready = [fit for fit in ready if fit.plan in plans]
        if room is None:
            return [fit.id for fit in ready[:limit]]
        space = (room.cores, room.gpus, room.memory_bytes)
        fitting = [fit for fit in ready if _within(fit.needs, space)][:limit]
        chosen = []
        for fit in fitting:
            if _within(fit.needs, space):
                chosen.append(fit.id)
                space = tuple(
                    have if have is None else have - need for have, need in zip(space, fit.needs, strict=True)
                )
        return chosen

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
        fit.state, fit.claim, fit.not_before = "leased", claim, None
        self.renewed(claim)

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


def _order(fit: FitModel) -> tuple[int, int, int]:
    return fit.order


def _within(needs: tuple[int, int, int], space: tuple[int | None, ...]) -> bool:
    return all(have is None or need <= have for need, have in zip(needs, space, strict=True))
