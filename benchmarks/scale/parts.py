"""A fleet in parts: each simulated in a process of its own, over a log of its own."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import SimpleQueue
from threading import Thread

from benchmarks.scale.audit import problems
from benchmarks.scale.options import Scenario
from benchmarks.scale.world import Outcome, World

_TELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of all parts together; `seconds` is from the first start to the last end."""

    outcomes: Sequence[Outcome]
    problems: Sequence[str]
    seconds: float

    def count(self, name: str) -> int:
        """Return the sum of a count over the parts."""
        return sum(int(getattr(outcome, name)) for outcome in self.outcomes)

    @property
    def told(self) -> Counter[str]:
        """How attempts ended, as it was told."""
        return sum((outcome.told for outcome in self.outcomes), Counter[str]())

    @property
    def cpu_seconds(self) -> float:
        """The processor time of all parts."""
        return sum(outcome.cpu_seconds for outcome in self.outcomes)


def simulate(scenario: Scenario, *, parts: int) -> Simulated:
    """Simulate the parts of a fleet side by side, telling on the error output how far they are."""
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    said: SimpleQueue[tuple[int, int] | None] = context.SimpleQueue()
    teller = Thread(target=_tell, args=(said, scenario.fits, began))
    teller.start()
    try:
        with context.Pool(parts, initializer=_keep, initargs=(said,)) as pool:
            found = pool.map(_run, list(enumerate(scenario.parts(parts))), chunksize=1)
    finally:
        said.put(None)
        teller.join()
    wrong = [problem for _, problems_found in found for problem in problems_found]
    return Simulated(
        outcomes=[outcome for outcome, _ in found], problems=wrong, seconds=time.perf_counter() - began
    )


_SAID: list[SimpleQueue[tuple[int, int] | None]] = []


def _keep(said: SimpleQueue[tuple[int, int] | None]) -> None:
    _SAID.append(said)


def _run(task: tuple[int, Scenario]) -> tuple[Outcome, list[str]]:
    """Simulate one part, in a process of its own."""
    number, scenario = task
    url = f"memory:simulation{number}"
    world = World(scenario, url, watch=partial(_say, number))
    outcome = world.run()
    return outcome, problems(url, outcome)


def _say(number: int, ended: int) -> None:
    _SAID[0].put((number, ended))


def _tell(said: SimpleQueue[tuple[int, int] | None], fits: int, began: float) -> None:
    """Say how far it is and how long it will take at this rate, every few seconds."""
    ended: dict[int, int] = {}
    tell_at = began
    while (word := said.get()) is not None:
        ended[word[0]] = word[1]
        done, now = sum(ended.values()), time.perf_counter()
        if done and now >= tell_at:
            tell_at = now + _TELL_SECONDS
            left = (now - began) / done * (fits - done)
            print(f"{done:,} of {fits:,} fits have ended, ~{left:.0f} s left", file=sys.stderr, flush=True)
