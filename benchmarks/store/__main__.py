"""Print the table: ``python -m benchmarks.store [--quick] [--only NAME …] [--write FILE]``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import psycopg

from benchmarks.store.acceptance import acceptance_figures
from benchmarks.store.appends import append_figures
from benchmarks.store.batches import batch_figures
from benchmarks.store.cluster import Cluster, scratch_folder
from benchmarks.store.figures import Figure, say, table
from benchmarks.store.history import history_figures
from benchmarks.store.machine import machine_facts
from benchmarks.store.options import Options, options_of
from benchmarks.store.questions import question_figures
from benchmarks.store.queues import queue_figures
from benchmarks.store.replay import replay_figures
from benchmarks.store.waiting import waiting_figures
from benchmarks.store.waking import waking_figures
from store.errors import StoreError

Section = Callable[[Options, Cluster], Iterator[Figure]]
SECTIONS: dict[str, Section] = {
    "append": append_figures,
    "accept": acceptance_figures,
    "queue": queue_figures,
    "batch": batch_figures,
    "history": history_figures,
    "replay": replay_figures,
    "questions": question_figures,
    "waiting": waiting_figures,
    "waking": waking_figures,
}
# What a part may fail with; its row says so, and the other parts are measured all the same.
FAILURES = (
    StoreError,
    psycopg.Error,
    sqlite3.Error,
    OSError,
    RuntimeError,
    EOFError,
    AttributeError,
    TypeError,
)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print and perhaps write the table; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench-store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows: a first look")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="these parts only")
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file as well")
    asked = parser.parse_args(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    folder = scratch_folder()
    try:
        with Cluster(folder) as cluster:
            begun = time.monotonic()
            facts = machine_facts(folder, cluster.url)
            print("\n".join(facts), flush=True)
            options = options_of(folder, quick=asked.quick)
            figures = [
                figure for name in asked.only or SECTIONS for figure in _section(name, options, cluster)
            ]
            minutes = (time.monotonic() - begun) / 60
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = table(figures)
    form = "quick form" if asked.quick else "full form"
    print(f"\n{text}\n\n{form}, {minutes:.1f} minutes")
    if asked.write:
        asked.write.parent.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"- {fact}" for fact in (*facts, f"{form}, {minutes:.1f} minutes"))
        asked.write.write_text(f"# Figures of the event log and the claims\n\n{lines}\n\n{text}\n")
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def _section(name: str, options: Options, cluster: Cluster) -> list[Figure]:
    """Return a part's rows, and a row that says why where it fails."""
    figures: list[Figure] = []
    try:
        for figure in SECTIONS[name](options, cluster):
            say("  " + " | ".join(cell for cell in figure.cells if cell))
            figures.append(figure)
    except FAILURES as error:
        sentence = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        say(f"  {name} FAILED: {sentence}")
        figures.append(Figure(what=name, ours=f"not measured: {sentence}", reached="NO"))
    return figures


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
