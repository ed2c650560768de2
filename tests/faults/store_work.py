"""A worker as the fault campaigns start it: every operation of the store, each answer told at once.

A worker tells what the store acknowledged through a pipe before it does the next thing: what the pipe holds
is what the store has promised. A worker never ends by itself.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from store_audit import open_fits, spoken, told_claim, told_event, told_id
from store_samples import cs_job, plan_of

from store import Claim, Failure, LeaseLost, PlanStore, RetryPolicy, StoreError
from store.database import connect
from store.events import CheckpointSaved, FitProgressed, FitReleased, FitStarted, FitSucceeded
from store.ids import new_event_id

# A fit may be tried often, for the workers are killed often; nothing waits between two tries.
POLICY = RetryPolicy(attempts_max=3, expiries_max=50, backoff_seconds=0.0)
LEASE_SECONDS = 60.0
PLAN_JOBS = 6
REBUILDING_SHARE = 0.004  # of the turns: the read models anew, while others write
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Said:
    """A word of unknown fate: what a worker was about to say when it was last heard of."""

    event_id: bytes
    plan: str
    fit: str
    fence: int
    worker: str

    def line(self) -> bytes:
        """The line that announces it."""
        return f"I {self.event_id.hex()} {self.plan} {self.fit} {self.fence} {self.worker}\n".encode()

    @classmethod
    def of(cls, line: str) -> Said:
        """Read such a line."""
        _, event_id, plan, fit, fence, worker = line.split()
        return cls(bytes.fromhex(event_id), plan, fit, int(fence), worker)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def succeeded_word(worker: str, fence: int) -> FitSucceeded:
    """The last word about a fit."""
    return FitSucceeded(
        bundle=spoken(worker, fence), sha256="ab" * 32, metrics={"rank_ic": 0.03}, seconds=1.0
    )


class Worker:
    """One process's life: plans accepted, fits claimed and worked on, dead workers' fits taken back."""

    def __init__(self, store: PlanStore, name: str, tell: Callable[[bytes], object], seed: int) -> None:
        self.store, self.name, self.tell = store, name, tell
        self.chance = random.Random(seed)  # noqa: S311 - chosen again from the same seed
        self.plans = 0

    def work(self) -> None:
        """Go on for ever; a lease that was lost is part of the work."""
        self.rescue()
        while True:
            if not self.turn():
                self.accept()

    def turn(self) -> bool:
        """Claim what is ready and work on it; returns whether there was anything."""
        if self.chance.random() < REBUILDING_SHARE:
            self.store.rebuild()
        claims = [c for stage in ("cpu", "gpu") for c in self.claim(stage, self.chance.randint(1, 2))]
        if self.chance.random() < 0.1:
            self.succeed_together(claims)
            return bool(claims)
        for claim in claims:
            try:
                self.fit(claim)
            except LeaseLost:
                self.tell(b"L\n")
        return bool(claims)

    def accept(self) -> None:
        """Accept a new plan: its seed makes it another plan than all before."""
        self.plans += 1
        seed = self.chance.randrange(2**40)
        plan = plan_of(*(cs_job(f"y{number}") for number in range(PLAN_JOBS)), seed=seed)
        receipt = self.store.accept(plan, source="campaign", name=f"{self.name}-{self.plans}")
        self.tell(told_event(receipt.seq, "PlanAccepted", receipt.plan_id))

    def rescue(self) -> None:
        """Take back the fits of workers that are gone, and those whose lease ran out."""
        self.store.rescue(is_dead=is_gone)

    def claim(self, stage: str, limit: int) -> tuple[Claim, ...]:
        """Claim and tell."""
        claims = self.store.claim(self.name, stage=stage, limit=limit, lease_seconds=LEASE_SECONDS)
        for claim in claims:
            self.tell(told_claim(claim.fit_id, claim.fence, self.name))
        return claims

    def fit(self, claim: Claim) -> None:
        """Everything a worker says about one fit, up to one of four ends."""
        mark = spoken(self.name, claim.fence)
        word = FitStarted(pid=os.getpid(), device_requested="cpu", device_used="cpu", log=mark)
        self.told(self.store.started(claim, word, event_id=new_event_id()), "FitStarted", claim)
        for step in range(1, self.chance.randint(1, 3) + 1):
            progress = FitProgressed(step=step, steps_total=3)
            self.told(self.store.progressed(claim, progress), "FitProgressed", claim)
            saved = CheckpointSaved(step=step, path=mark, seconds=0.1)
            self.told(
                self.store.checkpointed(claim, saved, event_id=new_event_id()), "CheckpointSaved", claim
            )
            self.store.renew(claim)
        self.end(claim, mark)

    def end(self, claim: Claim, mark: str) -> None:
        """Say the last word, mostly that it succeeded; that one is announced, so that it can be repeated."""
        kind = self.chance.choices(
            ("succeeded", "failed", "final", "released", "cancel"), (70, 12, 3, 12, 3)
        )[0]
        if kind == "succeeded":
            self.succeed(Said(new_event_id(), claim.plan_id, claim.fit_id, claim.fence, self.name), claim)
        elif kind == "released":
            self.told(self.store.released(claim, FitReleased(cause=mark)), "FitReleased", claim)
        elif kind == "cancel":
            self.told(self.store.cancel(claim.fit_id), "FitCancelled", claim)
            self.told(self.store.retry(claim.fit_id), "FitRetried", claim)
        else:
            failure = Failure(cause="library", sentence=mark, retryable=kind == "failed")
            event_id = new_event_id()
            self.store.failed(claim, failure, event_id=event_id)
            self.tell(told_id(event_id, "FitFailed", claim.fit_id))

    def succeed(self, said: Said, claim: Claim) -> None:
        """Announce the word, say it, tell its answer."""
        self.tell(said.line())
        seq = self.store.succeeded(claim, succeeded_word(said.worker, said.fence), event_id=said.event_id)
        self.tell(told_event(seq, "FitSucceeded", said.fit))

    def succeed_together(self, claims: Sequence[Claim]) -> None:
        """Say the last word about several fits in one transaction."""
        words = [(claim, succeeded_word(self.name, claim.fence)) for claim in claims]
        for claim, answer in zip(claims, self.store.succeeded_many(words), strict=True):
            if isinstance(answer, int):
                self.told(answer, "FitSucceeded", claim)

    def told(self, seq: int, kind: str, claim: Claim) -> None:
        """Tell an acknowledged event."""
        self.tell(told_event(seq, kind, claim.fit_id))


def claim_of(said: Said) -> Claim:
    """The claim under which a word was said: what a store needs of it to judge the word."""
    return Claim(
        fit_id=said.fit, plan_id=said.plan, job_id="", family="", stage="cpu", target="", symbol=None,
        route="", training_type="", priority=0, features=None, job={}, data={}, training={},
        worker=said.worker, attempt=0, fence=said.fence, lease_seconds=LEASE_SECONDS,
        lease_until=datetime.now(UTC), checkpoint=None,
    )  # fmt: skip


def is_gone(worker: str) -> bool:
    """Whether the process in a worker's name (``w-NUMBER-PID``) has ended."""
    try:
        os.kill(int(worker.rpartition("-")[2]), 0)
    except ProcessLookupError:
        return True
    return False


def drained_to_the_end(
    path: Path, problems: list[str], opener: Callable[[], PlanStore] | None = None
) -> tuple[int, int]:
    """Finish every fit that is left, with nobody in the way: how many were, and how many never ended."""
    finished = 0
    try:
        with opener() if opener else PlanStore(connect(f"sqlite:///{path}"), policy=POLICY) as store:
            finished = drain(store)
            problems += store.verify().problems
    except StoreError as error:
        problems.append(f"the drain ended by {type(error).__name__}: {error}")
    left = open_fits(path)
    problems += [f"{left} fits never ended"] if left else []
    return finished, left


def drain(store: PlanStore) -> int:
    """Finish everything that is ready, with nobody in the way; returns the fits that were finished."""
    store.rescue(is_dead=lambda worker: True)
    finished = 0
    while True:
        claims = [c for stage in ("cpu", "gpu") for c in store.claim("drain", stage=stage, limit=50)]
        if not claims:
            return finished
        for claim in claims:
            store.succeeded(claim, succeeded_word("drain", claim.fence))
            finished += 1
