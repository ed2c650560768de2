"""What the reading commands cost with 10,000 jobs of two fits each: CPU of fresh processes, user and system.

The store holds one plan, a tenth of it finished. The floor is an interpreter that imports
nothing: no command can cost less.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.store.ballast import STARTED
from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, say, verdict
from benchmarks.store.options import Options
from benchmarks.store.plans import DONE, plan_of
from store import open_store

JOBS = 10_000
CPU_MS_MAX = 150.0
FINISHED = 2_000
COMMAND = "from daemon.cli.main import main; main()"


def question_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of both engines."""
    for engine in ("SQLite", "Postgres"):
        say(f"status, jobs and why with {JOBS:,} jobs on {engine}")
        results = options.folder / f"results-{engine.lower()}"
        results.mkdir()
        url = cluster.store() if engine == "Postgres" else options.sqlite_store()
        fit = _filled(url)
        environment = {**os.environ, "TRAINWRIGHT_DATABASE_URL": url}
        nothing = _cpu_ms([sys.executable, "-c", "pass"], results, environment, options)
        for name, words in (("status", ()), ("jobs", ()), ("why", (fit,))):
            command = [sys.executable, "-c", COMMAND, name, *words]
            taken = _cpu_ms(command, results, environment, options)
            middle = statistics.median(taken)
            yield Figure(
                what=f"CPU of {name} with {JOBS:,} jobs, {engine}",
                floor=f"python: {statistics.median(nothing):.0f} ms",
                ours=f"{middle:.0f} ms",
                ratio=f"({min(taken):.0f}-{max(taken):.0f})",
                bar=f"< {CPU_MS_MAX:g} ms",
                reached=verdict(middle < CPU_MS_MAX),
            )


def _filled(url: str) -> str:
    """Accept the plan, end a part of it, and return the name of a fit that waits."""
    with open_store(url) as store:
        plan = plan_of(JOBS, families=2)
        store.accept(plan, source="bench", name="bench")
        for _ in range(FINISHED // 100):
            claims = store.claim("bench", stage="cpu", limit=100)
            store.started(claims[0], STARTED)
            store.succeeded_many([(claim, DONE) for claim in claims])
    last = plan.fits[-1]
    return f"{last.job_id}/{last.family}"


def _cpu_ms(
    command: Sequence[str], folder: Path, environment: dict[str, str], options: Options
) -> list[float]:
    """Run a command several times and return its CPU milliseconds; raises RuntimeError when it fails."""
    taken = []
    for _ in range(3 if options.quick else 9):
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        complaint = process.stderr.read() if process.stderr is not None else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(command[3:])}: {complaint.decode(errors='replace').strip()}")
        taken.append((used.ru_utime + used.ru_stime) * 1000)
    return taken
