"""Simulate a fleet: ``python -m benchmarks.scale [--quick] [--write FILE]``; 1 when a bar is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scale.course import drawn
from benchmarks.scale.options import FULL, QUICK, Scenario
from benchmarks.scale.parts import PartEnded, Simulated, simulate
from benchmarks.scale.writing import write_between
from benchmarks.store.figures import Figure, table, verdict

SECONDS_MAX = 600.0
STOPPED = 130  # as a shell tells of ^C
PICTURE = Path("pictures/scale-simulation.svg")
BEGIN, END = "<!-- simulation -->", "<!-- end of simulation -->"


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, look at what the logs say at the end, print and perhaps write the table."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundred hosts: a first look")
    parser.add_argument(
        "--parts", type=int, default=2, help="logs side by side, each with its part of the fleet"
    )
    parser.add_argument("--write", type=Path, help="put the table between the marks of this page")
    asked = parser.parse_args(words)
    scenario = QUICK if asked.quick else FULL
    try:
        found = simulate(scenario, parts=asked.parts)
    except KeyboardInterrupt:
        print("the simulation was stopped; nothing is left of it", file=sys.stderr)
        return STOPPED
    except PartEnded as error:
        print(f"{error}; what it said stands above", file=sys.stderr)
        return 1
    figures = figures_of(scenario, found)
    text = table(figures)
    print(text)
    for problem in found.problems:
        print(f"wrong at the end: {problem}", file=sys.stderr)
    if asked.write:
        (asked.write.parent / PICTURE).write_text(drawn(found.course, parts=asked.parts), encoding="utf-8")
        text += f"\n\n![fits a second by fits that have ended]({PICTURE})"
        write_between(asked.write, text, begin=BEGIN, end=END)
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def figures_of(scenario: Scenario, found: Simulated) -> list[Figure]:
    """Return the rows of the table."""
    fits, parts = scenario.fits, len(found.outcomes)
    mishaps = (
        f"{found.count('deaths')} hosts died, {found.count('freezes')} stood still; "
        f"{found.count('rescued'):,} leases ran out"
    )
    ends = ", ".join(f"{count:,} {word}" for word, count in sorted(found.told.items()))
    turns = found.count("turns")
    hours = max(outcome.virtual_seconds for outcome in found.outcomes) / 3600
    ended = "all" if not found.problems else "; ".join(found.problems)
    return [
        Figure(what="hosts, places, fits", ours=f"{scenario.hosts:,} x {scenario.slots}, {fits:,}"),
        Figure(what="logs side by side", ours=f"{parts}"),
        Figure(what="what went wrong", ours=mishaps),
        Figure(what="ends of attempts that were told", ours=ends),
        Figure(what="fits that ended once", ours=ended, bar="all", reached=verdict(not found.problems)),
        Figure(what="simulated hours", ours=f"{hours:.1f}"),
        Figure(what="turns of hosts", ours=f"{turns:,}, {turns / fits:.2f} a fit"),
        Figure(
            what="seconds it took", ours=f"{found.seconds:.0f} ({found.cpu_seconds:.0f} of processor time)",
            bar=f"<= {SECONDS_MAX:.0f}", reached=verdict(found.seconds <= SECONDS_MAX),
        ),
        Figure(what="  a fit", ours=f"{found.cpu_seconds / fits * 1e6:.0f} us of processor time"),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
