"""A fleet in parts: each simulated in a process of its own, over a log of its own.

A part ends with whoever asked for it, however that one ends. One that fails says why on the error output, as
any process does, and the others are ended.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.scale.audit import problems
from benchmarks.scale.course import Point
from benchmarks.scale.options import Scenario
from benchmarks.scale.virtual_log import BEGINS_IN
from benchmarks.scale.world import Outcome, World
from executors.confinement import die_with_parent

_TELL_SECONDS = 5.0
_COLLECTED_AFTER = 100_000, 50, 50  # hundreds of hosts live here: Python would go through all of them often
_RATE_SECONDS = 60.0  # what is left is foretold by the rate of so long


class Far(NamedTuple):
    """How far a part is: fits that have ended, and the processor time for them."""

    ended: int
    cpu_seconds: float


class Found(NamedTuple):
    """What came of a part, and what is wrong with its log."""

    outcome: Outcome
    problems: list[str]


class PartEnded(Exception):
    """A part ended before its work did; why stands above, in its own words."""

    def __init__(self, number: int, code: int | None) -> None:
        super().__init__(f"part {number} of the simulation ended with code {code} before its work did")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of all parts together; `seconds` is from the first start to the last end.

    `course` is how far they were at which moment.
    """

    outcomes: Sequence[Outcome]
    problems: Sequence[str]
    seconds: float
    course: Sequence[Point]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    number: int
    process: BaseProcess
    heard: Connection


def simulate(scenario: Scenario, *, parts: int) -> Simulated:
    """Simulate the parts of a fleet side by side, telling on the error output how far they are.

    Raises:
        PartEnded: one of them failed.
    """
    began = time.perf_counter()
    with ExitStack() as ends:
        within = TemporaryDirectory(prefix="trainwright-", dir=BEGINS_IN)
        ends.callback(within.cleanup)
        running = [
            _started(number, part, within=within.name, ends=ends)
            for number, part in enumerate(scenario.parts(parts))
        ]
        progress = Progress(scenario.fits, parts=parts)
        found = _followed(running, progress, begun=within.cleanup)
    return Simulated(
        outcomes=[one.outcome for one in found],
        problems=[problem for one in found for problem in one.problems],
        seconds=time.perf_counter() - began,
        course=progress.course,
    )


def _started(number: int, scenario: Scenario, *, within: str, ends: ExitStack) -> _Part:
    """Start a part; with `ends` it ends at the latest."""
    context = multiprocessing.get_context("spawn")
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(scenario, Path(within), told, os.getpid()))
    process.start()
    told.close()  # the only end to write to is then the part's own: it closes with it
    ends.callback(process.join)
    ends.callback(process.kill)
    return _Part(number=number, process=process, heard=heard)


def _followed(parts: Sequence[_Part], progress: Progress, *, begun: Callable[[], None]) -> list[Found]:
    """Hear all parts until each has told what came of it; raises PartEnded.

    `begun` is called once all of them are at work: none needs a file by its name from then on.
    """
    found: dict[int, Found] = {}
    while left := [part for part in parts if part.number not in found]:
        ready = wait([part.heard for part in left])
        for part in left:
            if part.heard in ready:
                word = _word_of(part)
                if isinstance(word, Far):
                    if progress.tell(part.number, word) == len(parts):
                        begun()
                else:
                    found[part.number] = word
    return [found[part.number] for part in parts]


def _word_of(part: _Part) -> Far | Found:
    """Return what a part says next: how far it is, or what came of it; raises PartEnded."""
    try:
        word: Far | Found = part.heard.recv()
    except EOFError:
        part.process.join()
        raise PartEnded(part.number, part.process.exitcode) from None
    return word


def _run(scenario: Scenario, within: Path, tell: Connection, parent: int) -> None:
    """Simulate one part, in a process of its own."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the parent, which ends all parts
    world = World(scenario, watch=lambda ended: tell.send(Far(ended, time.process_time())), within=within)
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)
    outcome = world.run()
    tell.send(Found(outcome, problems(world.log, outcome)))


class Progress:
    """Says how far it is, and how long it will take at the rate of the last minute, every few seconds."""

    def __init__(
        self,
        fits: int,
        *,
        parts: int,
        clock: Callable[[], float] = time.perf_counter,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._fits, self._parts, self._clock = fits, parts, clock
        self._say = say or partial(print, file=sys.stderr, flush=True)
        self._far: dict[int, Far] = {}
        self._began = self._tell_at = clock()
        self._before: deque[tuple[float, int]] = deque([(self._began, 0)])
        self.course: list[Point] = [Point(0, 0.0, 0.0)]

    def tell(self, number: int, far: Far) -> int:
        """Take how far a part is, tell of all of them if it is time, and return how many have begun."""
        self._far[number] = far
        now, done = self._clock(), sum(one.ended for one in self._far.values())
        worked = sum(one.cpu_seconds for one in self._far.values())
        self.course.append(Point(done, now - self._began, worked))
        if done and now >= self._tell_at and len(self._far) == self._parts:
            self._tell_at = now + _TELL_SECONDS
            self._foretell(now, done)
        return len(self._far)

    def _foretell(self, now: float, done: int) -> None:
        self._before.append((now, done))
        while now - self._before[1][0] >= _RATE_SECONDS:
            self._before.popleft()
        since, then = self._before[0]
        rate = (done - then) / (now - since) if now > since else 0.0
        left = f"~{(self._fits - done) / rate:.0f} s left" if rate else "none of them lately"
        told = f"{done:,} of {self._fits:,} fits have ended after {now - self._began:.0f} s"
        self._say(f"{told}, {rate:,.0f}/s, {left}" if done < self._fits else f"{told}; the logs are asked")
