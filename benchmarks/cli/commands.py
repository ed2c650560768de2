"""CPU time of reading commands, of completing a live name, and of doing something to thousands of fits."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planner.figures import Figure
from benchmarks.store.figures import verdict
from store.reading import open_reader

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from many_jobs import many_jobs

READ_SECONDS, COMPLETE_SECONDS = 0.150, 0.200
RUN = "from daemon.cli.main import main; main()"
LOG = "trainwright.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of one run, and the folder it works in."""

    folder: Path
    jobs: int
    repeats: int


def options_of(folder: Path, *, quick: bool) -> Options:
    """The sizes of the full form, or of a first look."""
    return Options(folder=folder, jobs=1000 if quick else 10_000, repeats=3 if quick else 9)


def log_of(options: Options) -> str:
    """The name of a fit of a log with that many jobs, made where commands look for it."""
    results = options.folder / "results"
    url = f"sqlite:///{results / LOG}"
    if not results.exists():
        results.mkdir(parents=True)
        many_jobs(url, jobs=options.jobs)
    with open_reader(url) as reader:
        return reader.fits(states=("running",), limit=1)[0].name


def cpu_seconds(words: Sequence[str], folder: Path, *, extra: Mapping[str, str] | None = None) -> float:
    """What one call of the command line costs, user and system together."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        env={**kept, **(extra or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def reading(options: Options) -> Iterator[Figure]:
    """Each reading command as it is typed most."""
    name = log_of(options)
    job, target = name.partition("/")[0], name.partition("/")[0].removeprefix("cs_")
    for words in (
        ("status",), ("jobs",), ("jobs", "--where", "state:failed family:lightgbm"), ("job", name),
        ("why", name), ("why", job), ("why", target), ("logs", name), ("events", "--since", "10m"),
        ("hosts", "ls"),
    ):  # fmt: skip
        costs = [cpu_seconds(words, options.folder) for _ in range(options.repeats)]
        yield _figure(" ".join(words[:2] if words[0] != "jobs" else words), costs, READ_SECONDS)


def completing(options: Options) -> Iterator[Figure]:
    """Pressing the tabulator behind the beginning of a job, of a plan, of a target."""
    job = log_of(options).partition("/")[0]
    for words in (("why", job[:-1]), ("cancel", "--plan", "p_"), ("jobs", "--target", "y_fwd")):
        line = ("trainwright", *words)
        extra = {
            "_TRAINWRIGHT_COMPLETE": "bash_complete",
            "COMP_WORDS": "\n".join(line),
            "COMP_CWORD": str(len(line) - 1),
        }
        costs = [cpu_seconds((), options.folder, extra=extra) for _ in range(options.repeats)]
        yield _figure(f"completing {words[0]} {words[-1]}", costs, COMPLETE_SECONDS)


def changing(options: Options) -> Iterator[Figure]:
    """Choosing all waiting fits and telling each reason, then holding them."""
    log_of(options)
    copy = options.folder / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(options.folder / "results", copy / "results")
    for words in (("hold", "--state", "ready", "--dry-run"), ("hold", "--state", "ready")):
        yield _figure(" ".join(words), [cpu_seconds(words, copy)], None)


def _figure(what: str, costs: Sequence[float], bar: float | None) -> Figure:
    """The median, beside the least; the bar is held against the median."""
    middle = statistics.median(costs)
    return Figure(
        what=what,
        other=f"least {min(costs) * 1000:.0f} ms",
        ours=f"{middle * 1000:.0f} ms CPU",
        bar="" if bar is None else f"<= {bar * 1000:.0f} ms",
        reached="" if bar is None else verdict(middle <= bar),
    )
