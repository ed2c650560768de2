"""A worker frozen in the middle of a word, at each of its system calls, while its lease runs out.

Where it stands inside its transaction nobody else can write, so its word is good; where it does not, another
takes its fit, and the word is refused. Never both.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from campaigns import main
from reporting import Progress
from shared_clock import SharedClock
from store_audit import Audit, audit, told_claim, told_event
from store_mutants import store_of
from store_samples import cs_job, plan_of
from store_work import LEASE_SECONDS, succeeded_word
from syscall_gate import crossing
from zombie_campaign import LATE_WORDS, started_word

from store import Claim, LeaseLost, PlanStore, sqlite_database
from store.errors import DatabaseUnavailable

PATIENCE_SECONDS = 0.02  # of the successor, before it takes the database for locked


class Freezer:
    """One file with a fit that a worker holds, and what happens to it while the worker stands still."""

    def __init__(self, folder: Path, mutant: str) -> None:
        self.template, self.path, self.mutant = folder / "before.db", folder / "store.db", mutant
        self.clock = SharedClock()
        self.told: list[str] = []
        self.outcome = ""
        shutil.copyfile(folder / "migrated.db", self.template)
        with store_of(self.template, clock=self.clock) as store:
            store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="s", name="n")
            (self.claim,) = store.claim("zombie", stage="cpu", lease_seconds=LEASE_SECONDS)
            store.started(self.claim, started_word(self.claim))

    def open(self) -> PlanStore:
        """The store, on the shared clock."""
        return store_of(self.path, self.mutant, clock=self.clock)

    def reset(self) -> None:
        """Begin again, with the lease alive."""
        for side in ("-wal", "-shm"):
            Path(f"{self.path}{side}").unlink(missing_ok=True)
        shutil.copyfile(self.template, self.path)
        self.told, self.outcome = [], "nothing to take"
        self.clock.reset()

    def prepare(self) -> None:
        """The worker's connection, open before it speaks."""
        self.store = self.open()
        self.store.head_seq()

    def speak(self, word: Callable[[PlanStore, Claim], object], tell: Callable[[bytes], object]) -> None:
        """The worker says its word."""
        try:
            word(self.store, self.claim)
        except LeaseLost:
            tell(b"L refused\n")
        else:
            tell(b"L taken\n")

    def take_over(self) -> None:
        """The successor, while the worker stands still and its lease runs out: it does the fit itself."""
        self.clock.move(LEASE_SECONDS + 1)
        try:
            with self.open() as store:
                store.rescue()
                for claim in store.claim("successor", stage="cpu", lease_seconds=LEASE_SECONDS):
                    self.told.append(told_claim(claim.fit_id, claim.fence, "successor").decode())
                    seq = store.succeeded(claim, succeeded_word("successor", claim.fence))
                    self.told.append(told_event(seq, "FitSucceeded", claim.fit_id).decode())
                    self.outcome = "taken over"
        except DatabaseUnavailable:
            self.outcome = "locked"


def frozen(folder: Path, *, every: int = 1, mutant: str = "") -> dict[str, Any]:
    """Freeze each word at call 1, 1 + `every`, …; returns the counts and how often each outcome was."""
    sqlite_database.BUSY_SECONDS = PATIENCE_SECONDS
    freezer, progress = Freezer(folder, mutant), Progress("frozen at a system call", len(LATE_WORDS))
    total, outcomes = Audit(), {"faults": 0, "locked": 0, "taken over": 0, "nothing to take": 0}
    for number, (name, word) in enumerate(LATE_WORDS.items()):
        at = 1
        while True:
            freezer.reset()
            crossed = crossing(
                lambda tell, word=word: freezer.speak(word, tell),
                at=at,
                before=freezer.prepare,
                meanwhile=freezer.take_over,
            )
            if len(crossed.calls) < at:
                break
            found = audit(freezer.path, freezer.told)
            answers = [line for line in crossed.told.splitlines() if line[0] == "L"]
            found.problems += _contradiction(freezer, answers, crossed.told)
            total.add(found, f"{name}, frozen at call {at} ({crossed.calls[at - 1]}), {freezer.outcome}")
            outcomes["faults"] += 1
            outcomes[freezer.outcome] += 1
            at += every
        progress.at(number)
    return {**outcomes, "seconds": progress.seconds, **total.counts()}


def _contradiction(freezer: Freezer, answers: list[str], told: str) -> list[str]:
    """What does not fit together: the answer to the worker, and what its successor could do."""
    if len(answers) != 1:
        return [f"the worker was answered {answers}: {told.strip()}"]
    if answers == ["L refused"] and freezer.outcome != "taken over":
        return ["the worker was refused, and nobody had taken its fit"]
    return []


if __name__ == "__main__":
    main(frozen)
