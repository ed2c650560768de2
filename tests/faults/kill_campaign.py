"""Random ``kill -9`` of four processes with two workers each, at any moment, then an audit."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from campaigns import main
from crew import Crew
from reporting import Progress
from store_audit import audit
from store_work import drained_to_the_end


def kills(path: Path, *, faults: int, seed: int = 1, mutant: str = "") -> dict[str, Any]:
    """Kill `faults` workers over a migrated file; returns the counts."""
    progress = Progress("random kill -9", faults)
    chance = random.Random(seed)  # noqa: S311 - the same campaign for the same seed
    crew, done = Crew(path, mutant=mutant, seed=seed, threads=2), 0
    try:
        while done < faults and not crew.problems:
            crew.await_lines(chance.randrange(6))
            time.sleep(chance.random() * 0.003)  # into the middle of whatever is under way
            crew.kill_one()
            done += 1
            progress.at(done)
        crew.kill_all()
    finally:
        crew.close()
    found = audit(path, crew.told)
    found.problems += crew.problems
    drained, left = drained_to_the_end(path, found.problems)
    return {
        "faults": done, "seconds": progress.seconds, "repeated": crew.repeated, "drained": drained,
        "unfinished": left, **found.counts(),
    }  # fmt: skip


if __name__ == "__main__":
    main(kills)
