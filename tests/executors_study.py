"""Train every family where its kind of signal is, and where nothing is: ``python tests/executors_study.py``.

``--families LSTM GAN`` takes only these, ``--seeds 1`` one panel of each signal in place of two, ``--noise
2`` two panels of nothing in place of five, ``--first 10`` begins at another seed, ``--workers 1`` is one
process in place of two. ``--write`` puts the table into docs/explanation/executors.md. The exit status is 1
when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from generated.report import with_block
from generated.signals import TARGET
from generated.skill import MADE_FOR, RIVALS, Found, Task, found, known_families, place_of, targets_of
from generated.skill_report import SKILL, failures, report

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "executors.md"


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train every family on its kind of signal and on noise.")
    parser.add_argument("--families", nargs="+", default=list(known_families()), choices=known_families())
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--noise", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args(arguments)


def tasks_of(asked: argparse.Namespace, folder: Path) -> list[Task]:
    """Every fit of the study: numbers on every panel, classes on the first one of the signal, and rivals."""
    seeds = range(asked.first, asked.first + asked.seeds)
    wanted = []
    for family in asked.families:
        kind = MADE_FOR[family]
        wanted += [(family, kind, seeds[0], target) for target in targets_of(family)[1:] if asked.seeds]
        wanted += [(family, kind, seed, TARGET) for seed in seeds]
        wanted += [(family, "noise", asked.first + number, TARGET) for number in range(asked.noise)]
    kinds = {MADE_FOR[family] for family in asked.families}
    wanted += [(RIVALS[kind], kind, seed, TARGET) for kind in sorted(kinds) for seed in seeds]
    return [
        Task(family=family, kind=kind, seed=seed, target=target, folder=folder)
        for family, kind, seed, target in dict.fromkeys(wanted)
    ]


def all_found(tasks: Sequence[Task], workers: int) -> list[Found]:
    """Do all fits, each on one thread, `workers` at a time; a line on stderr for each."""
    for task in tasks:
        place_of(task.kind, task.seed, task.folder)
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    results = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(found, task) for task in tasks]):
            one = done.result()
            results.append(one)
            task = one.task
            print(
                f"{len(results):3} of {len(tasks)}  {task.family} {task.kind} {task.seed} {task.target}: "
                f"{one.score:.3f} from {one.low:.3f}, {one.cpu_seconds:.1f} s",
                file=sys.stderr,
            )
    return sorted(results, key=lambda one: (one.task.kind, one.task.seed, one.task.target))


def main(arguments: Sequence[str]) -> int:
    """Run the study; returns 1 when a bar is missed."""
    asked = options(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tw-skill-") as folder:
        results = all_found(tasks_of(asked, Path(folder)), asked.workers)
    table = report(results)
    print(table)
    print(f"{len(results)} fits in {time.monotonic() - began:.0f} s", file=sys.stderr)
    if asked.write:
        PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), SKILL, table), encoding="utf-8")
    return int(bool(failures(results)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
