"""Print the table: ``python -m benchmarks.executors [--quick] [--only NAME …] [--write FILE]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.executors.options import Options, options_of
from benchmarks.executors.sections import many, memory, overhead
from benchmarks.planner.__main__ import machine_facts
from benchmarks.planner.figures import HEADS, Figure
from benchmarks.store.figures import say, table

Section = Callable[[Options], Iterator[Figure]]
BEGIN, END = "<!-- executors bench -->", "<!-- end of executors bench -->"
SECTIONS: dict[str, Section] = {"overhead": overhead, "many": many, "memory": memory}


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print and perhaps write the table; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench-executors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller: a first look")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="these parts only")
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file as well")
    parser.add_argument("--folder", type=Path, help="keep the panels here, and find them again")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    facts = machine_facts()
    print("\n".join(facts), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-executors-") as scratch:
        options = options_of((asked.folder or Path(scratch)).absolute(), quick=asked.quick)
        figures = [figure for name in asked.only or SECTIONS for figure in _section(name, options)]
    text = table(figures, HEADS)
    form = f"{'quick' if asked.quick else 'full'} form, {(time.monotonic() - begun) / 60:.1f} minutes"
    print(f"\n{text}\n\n{form}")
    if asked.write:
        _write(asked.write, text, (*facts, form))
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def _write(path: Path, text: str, facts: Sequence[str]) -> None:
    """Put the table between the marks of a page that has them, else write a page of its own."""
    own = f"{text}\n\nMeasured {'; '.join(facts)}.\n"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, mark, rest = page.partition(BEGIN)
    if mark:
        page = f"{before}{BEGIN}\n{own}{END}{rest.partition(END)[2]}"
    else:
        page = f"# Figures of the executors\n\n{own}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _section(name: str, options: Options) -> list[Figure]:
    """Return a part's rows, and a row that says why where it fails."""
    figures: list[Figure] = []
    try:
        for figure in SECTIONS[name](options):
            say("  " + " | ".join(cell for cell in figure.cells if cell))
            figures.append(figure)
    except (RuntimeError, OSError) as error:
        say(f"  {name} FAILED: {error}")
        figures.append(Figure(what=name, ours=f"not measured: {error}", reached="NO"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
