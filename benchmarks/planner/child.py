"""Heavy parts run in children of their own, on one thread each; what they cost is read from the kernel.

``python -m benchmarks.planner.child WORK.FUNCTION ARGUMENTS`` calls benchmarks.planner.WORK.FUNCTION, or a
function of another of these packages by its whole name, with the JSON arguments and prints its JSON answer
with the peaks of memory as the last line.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.02
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a child answered and what it cost, start-up included."""

    answer: Any
    cpu_seconds: float  # user and system, of the child and its own children
    wall_seconds: float
    peak_bytes: int  # resident, mapped files included
    peak_anonymous_bytes: int  # resident without the pages of files


def run(work: str, **arguments: object) -> Run:
    """Call a function of this package in a child and wait for it.

    Raises:
        RuntimeError: the child failed; its last words are the message.
    """
    words = [sys.executable, "-m", "benchmarks.planner.child", work, json.dumps(arguments)]
    said, cpu, wall = timed(words, cwd=ROOT)
    record = json.loads(said.splitlines()[-1])
    return Run(
        answer=record["answer"],
        cpu_seconds=cpu,
        wall_seconds=wall,
        peak_bytes=record["peak"],
        peak_anonymous_bytes=record["peak_anonymous"],
    )


def timed(words: Sequence[str], *, cwd: Path) -> tuple[str, float, float]:
    """Run a command on one thread; return its output, its CPU seconds and its wall seconds.

    Raises:
        RuntimeError: it failed; its last words are the message.
    """
    started, before = time.perf_counter(), _children_cpu()
    environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    wall, cpu = time.perf_counter() - started, _children_cpu() - before
    if ended.returncode != 0:
        last = (ended.stderr.strip() or "no word").splitlines()[-1]
        raise RuntimeError(f"{' '.join(words[1:4])} ended with {ended.returncode}: {last}")
    return ended.stdout, cpu, wall


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_now(name: str) -> int:
    """One figure of this process's memory in bytes, as /proc/self/status names it."""
    with Path("/proc/self/status").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


class _Watch(threading.Thread):
    """Looks fifty times a second how much anonymous memory there is: the kernel keeps no peak of it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self.ended.wait(_LOOK_SECONDS):
            self.peak = max(self.peak, memory_now("RssAnon"))


def main(work: str, arguments: str) -> None:
    """Do the work in this process and print the answer."""
    watch = _Watch()
    watch.start()
    module, _, name = work.rpartition(".")
    place = module if module.startswith("benchmarks.") else f"benchmarks.planner.{module}"
    answer = getattr(importlib.import_module(place), name)(**json.loads(arguments))
    watch.ended.set()
    watch.join()
    # Not ru_maxrss: a child inherits the peak of the parent it was split from.
    peaks = {"peak": memory_now("VmHWM"), "peak_anonymous": watch.peak}
    print(json.dumps({"answer": answer, **peaks}))


if __name__ == "__main__":
    main(*sys.argv[1:])
