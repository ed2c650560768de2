"""How a worker of a peer answers; the scripts beside it run in the peers' own environment.

A script reads one word a line and answers each with one line of JSON:

- ``install``: make the peer's tables;
- ``fill N``: put N jobs that do nothing into its queue, by its own fastest call;
- ``go``: work until nothing is left; the answer has the jobs done, when it began and when its last job ran
  (both of the system's monotonic clock) and the CPU seconds it took.

The clock stops at the last job's call: what a peer still has to write then is not counted against it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Protocol


class Runs:
    """Counts the jobs that ran here and remembers when the last did."""

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0

    def one(self) -> None:
        """Note a job."""
        self.count += 1
        self.last = time.monotonic()


class Peer(Protocol):
    """What a script does for a word."""

    def install(self) -> None:
        """Make the tables."""

    def fill(self, jobs: int) -> None:
        """Put jobs into the queue."""

    def go(self, runs: Runs) -> float:
        """Work until nothing is left and return when it began."""


def answer(peer: Peer) -> None:
    """Answer words until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peers print is no answer
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        found: dict[str, float] = {}
        if word == "install":
            peer.install()
        elif word == "fill":
            peer.fill(int(number))
        elif word == "go":
            runs, cpu_from = Runs(), time.process_time()
            begun = peer.go(runs)
            cpu = time.process_time() - cpu_from
            found = {"done": runs.count, "begun": begun, "last": runs.last, "cpu": cpu}
        print(json.dumps(found), file=answers, flush=True)
