"""A wall clock that jumps, an hour back and two hours on, under workers that hold leases by it.

SQLite's own clock is the wall clock, so it is SQLite that is told another time. A jump may end a lease early,
which costs work; it must never let two write about one fit.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from campaigns import main
from crew import Crew
from reporting import Progress
from shared_clock import SharedClock, jumping_store
from store_audit import audit
from store_mutants import plant
from store_work import Worker, drained_to_the_end

JUMPS_SECONDS = (-3600.0, 7200.0)
KILLED_SHARE = 0.3
FAR_SECONDS = 10 * 86400.0


class WatchfulWorker(Worker):
    """Takes back expired leases between any two words, as the rescuer of another host may."""

    def claim(self, stage: str, limit: int) -> Any:
        """Look for expired leases, then claim."""
        self.rescue()
        return super().claim(stage, limit)


def jumps(path: Path, *, faults: int, seed: int = 1, mutant: str = "") -> dict[str, Any]:
    """Let the clock jump `faults` times, and kill a worker at some of them."""
    clock, chance = SharedClock(), random.Random(seed)  # noqa: S311 - the same campaign for the same seed
    progress = Progress("clock jumps", faults)
    plant(mutant)
    crew = Crew(path, seed=seed, opener=lambda: jumping_store(path, clock), kind=WatchfulWorker)
    try:
        for jump in range(1, faults + 1):
            crew.await_lines(chance.randrange(5, 60))
            clock.move(chance.choice(JUMPS_SECONDS) + chance.random())
            if chance.random() < KILLED_SHARE:
                crew.kill_one()
            progress.at(jump)
        crew.kill_all()
    finally:
        crew.close()
    found = audit(path, crew.told)
    found.problems += crew.problems
    clock.move(FAR_SECONDS)  # whatever was put off to a later time is due now
    if not mutant:
        drained_to_the_end(path, found.problems, lambda: jumping_store(path, clock))
    return {
        "faults": faults, "seconds": progress.seconds, "refused": crew.refused, **backward_steps(path),
        **found.counts(),
    }  # fmt: skip


def backward_steps(path: Path) -> dict[str, int]:
    """How often the time of the log went back, and how many leases ended by it."""
    with closing(sqlite3.connect(path)) as connection:
        times = [row[0] for row in connection.execute("SELECT recorded_at FROM event ORDER BY seq")]
        sql = "SELECT COUNT(*) FROM event WHERE kind = 'LeaseExpired' AND data LIKE '%ran out%'"
        expired = connection.execute(sql).fetchone()[0]
    back = sum(after < before - 1_000_000 for before, after in pairwise(times))
    return {"backward": back, "expired": expired}


if __name__ == "__main__":
    main(jumps)
