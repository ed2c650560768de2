"""Zombies: workers frozen past their lease, whose fits are taken over, wake up and speak.

Time is one number in memory that all processes share: a lease runs out because the campaign moves it.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from campaigns import main
from reporting import Progress
from shared_clock import SharedClock
from store_audit import audit, spoken, told_claim, told_event
from store_mutants import store_of
from store_samples import cs_job, plan_of
from store_work import LEASE_SECONDS, die_with_parent, drained_to_the_end, succeeded_word

from store import Claim, Failure, LeaseLost, PlanStore
from store.events import CheckpointSaved, FitProgressed, FitReleased, FitStarted

AT_ONCE = 20


def started_word(claim: Claim) -> FitStarted:
    """The first word about a fit."""
    mark = spoken(claim.worker, claim.fence)
    return FitStarted(pid=os.getpid(), device_requested="cpu", device_used="cpu", log=mark)


def _saved(claim: Claim, step: int) -> CheckpointSaved:
    return CheckpointSaved(step=step, path=spoken(claim.worker, claim.fence), seconds=0.1)


def _together(store: PlanStore, claim: Claim) -> int:
    """Say the last word in a batch; a refusal there is an answer, which is raised here."""
    (answer,) = store.succeeded_many([(claim, succeeded_word(claim.worker, claim.fence))])
    if isinstance(answer, LeaseLost):
        raise answer
    return answer


Word = Callable[[PlanStore, Claim], object]
LATE_WORDS: dict[str, Word] = {
    "succeeded": lambda s, c: s.succeeded(c, succeeded_word(c.worker, c.fence)),
    "renew": lambda s, c: s.renew(c),
    "checkpointed": lambda s, c: s.checkpointed(c, _saved(c, 9)),
    "released": lambda s, c: s.released(c, FitReleased(cause=spoken(c.worker, c.fence))),
    "failed": lambda s, c: s.failed(c, Failure(cause="library", sentence=spoken(c.worker, c.fence))),
    "started": lambda s, c: s.started(c, started_word(c)),
    "succeeded_many": _together,
    "progressed": lambda s, c: s.progressed(c, FitProgressed(step=9, steps_total=9)),
}


class Campaign:
    """One file, its clock, and the pipe through which every process tells."""

    def __init__(self, path: Path, mutant: str, seed: int) -> None:
        self.path, self.mutant, self.clock = path, mutant, SharedClock()
        self.chance = random.Random(seed)  # noqa: S311 - the same campaign for the same seed
        self.told: list[str] = []
        self.late: list[str] = []
        self.problems: list[str] = []
        self._reading, self._writing = os.pipe()

    def open(self) -> PlanStore:
        """The store, on the shared clock."""
        return store_of(self.path, self.mutant, clock=self.clock)

    def tell(self, line: bytes) -> None:
        """Tell a line, as one of the processes."""
        os.write(self._writing, line)

    def fork(self, work: Callable[[], None]) -> int:
        """Do something in a process of its own; its errors are told."""
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a forked child must not run its parent's code
                self.tell(f"X {type(error).__name__}: {error}\n".encode()[:2000])
            finally:
                os._exit(0)
        return pid

    def round(self, number: int) -> None:
        """Freeze workers, give their fits to a successor, wake all of them at once."""
        # Every second round the successor has the very name of the zombies: a name is no fence.
        names = ("host", "host") if number % 2 else ("zombie", "successor")
        _wait([self.fork(self._accept)], stopped=False)
        zombies = [self.fork(lambda place=place: self._zombie(names[0], place)) for place in range(AT_ONCE)]
        _wait(zombies, stopped=True)
        self.clock.move(LEASE_SECONDS * (1.001 + self.chance.random()))
        successor = self.fork(lambda: self._successor(names[1]))
        _wait([successor], stopped=True)
        for pid in (*zombies, successor):
            os.kill(pid, signal.SIGCONT)
        _wait([*zombies, successor], stopped=False)
        self._hear()

    def _accept(self) -> None:
        with self.open() as store:
            jobs = [cs_job(f"y{place}", families=("LightGBM",)) for place in range(AT_ONCE)]
            receipt = store.accept(plan_of(*jobs, seed=os.getpid()), source="s", name="n")
            self.tell(told_event(receipt.seq, "PlanAccepted", receipt.plan_id))

    def _zombie(self, name: str, place: int) -> None:
        """Claim, begin, freeze; then say one late word."""
        kind = list(LATE_WORDS)[place % len(LATE_WORDS)]
        store = self.open()
        (claim,) = store.claim(name, stage="cpu", limit=1, lease_seconds=LEASE_SECONDS)
        self.tell(told_claim(claim.fit_id, claim.fence, name))
        if place % 3:
            self.tell(told_event(store.started(claim, started_word(claim)), "FitStarted", claim.fit_id))
        if place % 3 == 2:
            seq = store.checkpointed(claim, _saved(claim, 1))
            self.tell(told_event(seq, "CheckpointSaved", claim.fit_id))
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            LATE_WORDS[kind](store, claim)
        except LeaseLost:
            self.tell(f"L refused {kind} {claim.fit_id}\n".encode())
        else:
            self.tell(f"L taken {kind} {claim.fit_id}\n".encode())
        store.close()

    def _successor(self, name: str) -> None:
        """Take the fits back and claim them; finish half, wait, and finish the rest among the zombies."""
        store = self.open()
        store.rescue()
        claims = store.claim(name, stage="cpu", limit=AT_ONCE, lease_seconds=LEASE_SECONDS)
        for claim in claims:
            self.tell(told_claim(claim.fit_id, claim.fence, name))
        for place, claim in enumerate(claims):
            if place == len(claims) // 2:
                os.kill(os.getpid(), signal.SIGSTOP)
            self.tell(told_event(store.started(claim, started_word(claim)), "FitStarted", claim.fit_id))
            store.renew(claim)
            seq = store.succeeded(claim, succeeded_word(name, claim.fence))
            self.tell(told_event(seq, "FitSucceeded", claim.fit_id))
        store.close()

    def _hear(self) -> None:
        os.set_blocking(self._reading, False)
        heard = b""
        while block := _read(self._reading):
            heard += block
        for line in heard.decode().splitlines():
            if line[0] == "L":
                self.late.append(line)
            elif line[0] == "X":
                self.problems.append(f"a process ended by itself: {line[2:]}")
            else:
                self.told.append(line)


def _read(descriptor: int) -> bytes:
    """What is in a pipe now."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""


def _wait(pids: list[int], *, stopped: bool) -> None:
    """Wait until processes have stopped, or ended; one that ends early is no longer waited for."""
    for pid in pids:
        os.waitpid(pid, os.WUNTRACED if stopped else 0)


def zombies(path: Path, *, faults: int, seed: int = 1, mutant: str = "") -> dict[str, Any]:
    """Wake `faults` zombies, twenty at a time; every late word must be refused."""
    progress = Progress("zombies", faults)
    campaign = Campaign(path, mutant, seed)
    for number in range(-(-faults // AT_ONCE)):
        campaign.round(number)
        progress.at(number * AT_ONCE)
        if campaign.problems:
            break
    found = audit(path, campaign.told)
    taken = [line for line in campaign.late if line.startswith("L taken")]
    found.stale = max(found.stale, len(taken))
    found.problems += [*campaign.problems, *(f"a late word was taken: {line[8:]}" for line in taken)]
    drained_to_the_end(path, found.problems)
    return {
        "faults": len(campaign.late), "refused": len(campaign.late) - len(taken), "seconds": progress.seconds,
        **found.counts(),
    }  # fmt: skip


if __name__ == "__main__":
    main(zombies)
