"""Print the table: ``python -m benchmarks.cli [--quick] [--only NAME …]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.cli.commands import Options, changing, completing, options_of, reading
from benchmarks.planner.__main__ import machine_facts
from benchmarks.planner.figures import HEADS, Figure
from benchmarks.store.figures import say, table

SECTIONS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "reading": reading,
    "completing": completing,
    "changing": changing,
}


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print the table; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench-cli", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller: a first look")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="these parts only")
    asked = parser.parse_args(words)
    print("\n".join(machine_facts()[:2]), flush=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as scratch:
        options = options_of(Path(scratch), quick=asked.quick)
        for name in asked.only or SECTIONS:
            say(f"{name} ...")
            figures += SECTIONS[name](options)
    print(f"\n{table(figures, HEADS)}\n\n{options.jobs:,} jobs, the median of {options.repeats} calls")
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
