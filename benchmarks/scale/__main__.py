"""Simulate a fleet: ``python -m benchmarks.scale [--quick] [--write FILE]``; 1 when a bar is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scale.audit import problems
from benchmarks.scale.options import FULL, QUICK
from benchmarks.scale.world import Outcome, World
from benchmarks.scale.writing import write_between
from benchmarks.store.figures import Figure, table, verdict

SECONDS_MAX = 600.0
BEGIN, END = "<!-- simulation -->", "<!-- end of simulation -->"
_URL = "memory:simulation"


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, look at what the log says at the end, print and perhaps write the table."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundred hosts: a first look")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this page")
    asked = parser.parse_args(words)
    world = World(QUICK if asked.quick else FULL, _URL)
    outcome = world.run()
    found = problems(_URL, outcome)
    figures = figures_of(outcome, found)
    text = table(figures)
    print(text)
    for problem in found:
        print(f"wrong at the end: {problem}", file=sys.stderr)
    if asked.write:
        write_between(asked.write, text, begin=BEGIN, end=END)
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def figures_of(outcome: Outcome, found: Sequence[str]) -> list[Figure]:
    """Return the rows of the table."""
    scenario, told = outcome.scenario, outcome.told
    fits = scenario.fits
    mishaps = (
        f"{outcome.deaths} hosts died, {outcome.freezes} stood still; {outcome.rescued:,} leases ran out"
    )
    ends = ", ".join(f"{count:,} {word}" for word, count in sorted(told.items()))
    seconds = outcome.real_seconds
    return [
        Figure(what="hosts, places, fits", ours=f"{scenario.hosts:,} x {scenario.slots}, {fits:,}"),
        Figure(what="what went wrong", ours=mishaps),
        Figure(what="ends of attempts that were told", ours=ends),
        Figure(
            what="fits that ended once", ours="all" if not found else "; ".join(found), bar="all",
            reached=verdict(not found),
        ),
        Figure(what="simulated hours", ours=f"{outcome.virtual_seconds / 3600:.1f}"),
        Figure(what="turns of hosts", ours=f"{outcome.turns:,}, {outcome.turns / fits:.2f} a fit"),
        Figure(
            what="seconds it took", ours=f"{seconds:.0f} ({outcome.cpu_seconds:.0f} of processor time)",
            bar=f"<= {SECONDS_MAX:.0f}", reached=verdict(seconds <= SECONDS_MAX),
        ),
        Figure(what="  a fit", ours=f"{outcome.cpu_seconds / fits * 1e6:.0f} us of processor time"),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
