"""Accepting one big plan: how long, and how much memory the store needs for it beyond the plan itself.

Each acceptance happens in a process of its own that makes the plan first, gives the allocator's free pages
back and resets the kernel's mark of the highest memory use (``/proc/self/clear_refs``, proc(5)). The growth
is that mark after `PlanStore.accept` minus what was in use before it. Memory is flat when a plan ten times as
large grows it by less than twice as much (a store that holds the plan a second time grows tenfold).
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, say, verdict
from benchmarks.store.options import Options
from benchmarks.store.plans import plan_of
from store import open_store

SECONDS_MAX = 15.0
FLAT = 2.0  # times the growth of a plan a tenth as large
SMALL_MIB = 16.0  # growth below this is flat whatever the small plan grew by


def acceptance_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of both engines."""
    jobs = options.plan_jobs
    for engine in ("SQLite", "Postgres"):
        say(f"accepting a plan of {jobs:,} jobs on {engine}")
        tenth, whole = (
            _accepted(cluster.store() if engine == "Postgres" else options.sqlite_store(), count)
            for count in (jobs // 10, jobs)
        )
        bar = SECONDS_MAX * jobs / 100_000
        judged = engine == "SQLite"
        yield Figure(
            what=f"accept a plan of {jobs:,} jobs, {engine}",
            ours=f"{whole['seconds']:.1f} s ({whole['cpu']:.1f} s CPU)",
            ratio=f"{jobs / whole['seconds']:,.0f} jobs/s",
            bar=f"< {bar:g} s" if judged else "",
            reached=verdict(whole["seconds"] < bar) if judged else "",
        )
        flat = whole["mib"] < max(FLAT * tenth["mib"], SMALL_MIB)
        yield Figure(
            what=f"  its memory growth, {engine}",
            floor=f"{jobs // 10:,} jobs: {tenth['mib']:.0f} MiB",
            ours=f"{jobs:,} jobs: {whole['mib']:.0f} MiB",
            ratio=f"{whole['mib'] / max(tenth['mib'], 0.1):.1f} x",
            bar="flat" if judged else "",
            reached=verdict(flat) if judged else "",
        )


def _accepted(url: str, jobs: int) -> dict[str, float]:
    """Accept a plan of so many jobs in a new process and return what it took."""
    command = [sys.executable, "-m", "benchmarks.store.acceptance", url, str(jobs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Be the process that accepts one plan."""
    store, plan = open_store(sys.argv[1]), plan_of(int(sys.argv[2]))
    store.head_seq()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, wall_from, cpu_from = _memory_mib("VmRSS"), time.perf_counter(), time.process_time()
    store.accept(plan, source="bench", name="bench")
    seconds, cpu = time.perf_counter() - wall_from, time.process_time() - cpu_from
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mib": _memory_mib("VmHWM") - before}))
    store.close()


def _memory_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
