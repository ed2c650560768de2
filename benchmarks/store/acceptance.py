"""Accepting one big plan: how long, and how much memory the store needs for it beyond the plan itself.

Each acceptance happens in a process of its own that makes the plan first. The growth is the largest memory
that Python's objects took during `PlanStore.accept` beyond what they took before it (tracemalloc, in a run of
its own that is not timed; a process's resident size would hide what fits into pages freed before). Memory is
flat when a plan ten times as large grows it by less than twice as much: a store that held the plan a second
time would grow tenfold.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator

from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, say, verdict
from benchmarks.store.options import Options
from benchmarks.store.plans import plan_of
from store import open_store

SECONDS_MAX = 15.0
FLAT = 2.0  # times the growth of a plan a tenth as large
SMALL_MIB = 16.0  # growth below this is flat whatever the small plan grew by
TRACED_JOBS_MAX = 20_000  # where memory is not judged: tracing takes several times as long


def acceptance_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of both engines."""
    jobs = options.plan_jobs
    for engine in ("SQLite", "Postgres"):
        say(f"accepting a plan of {jobs:,} jobs on {engine}")
        traced_jobs = jobs if engine == "SQLite" else min(jobs, TRACED_JOBS_MAX)
        whole, traced_tenth, traced = (
            _accepted(cluster.store() if engine == "Postgres" else options.sqlite_store(), count, trace)
            for count, trace in ((jobs, "no"), (traced_jobs // 10, "trace"), (traced_jobs, "trace"))
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
        flat = traced["mib"] < max(FLAT * traced_tenth["mib"], SMALL_MIB)
        yield Figure(
            what=f"  its memory growth, {engine}",
            floor=f"{traced_jobs // 10:,} jobs: {traced_tenth['mib']:.1f} MiB",
            ours=f"{traced_jobs:,} jobs: {traced['mib']:.1f} MiB",
            ratio=f"{traced['mib'] / max(traced_tenth['mib'], 0.1):.1f} x",
            bar="flat" if judged else "",
            reached=verdict(flat) if judged else "",
        )


def _accepted(url: str, jobs: int, trace: str) -> dict[str, float]:
    """Accept a plan of so many jobs in a new process and return what it took."""
    command = [sys.executable, "-m", "benchmarks.store.acceptance", url, str(jobs), trace]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Be the process that accepts one plan."""
    store, plan = open_store(sys.argv[1]), plan_of(int(sys.argv[2]))
    store.head_seq()
    gc.collect()
    if sys.argv[3] == "trace":
        tracemalloc.start()
    wall_from, cpu_from = time.perf_counter(), time.process_time()
    store.accept(plan, source="bench", name="bench")
    seconds, cpu = time.perf_counter() - wall_from, time.process_time() - cpu_from
    mib = tracemalloc.get_traced_memory()[1] / 2**20
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mib": mib}))
    store.close()


if __name__ == "__main__":
    main()
