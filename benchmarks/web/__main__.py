"""Print the table: ``python -m benchmarks.web [--quick] [--only NAME …] [--write FILE]``."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.planner.__main__ import machine_facts
from benchmarks.planner.figures import HEADS, Figure
from benchmarks.store.figures import say, table
from benchmarks.web.sections import Options, fits, options_of, rendering, streaming

Section = Callable[[Options], Iterator[Figure]]
BEGIN, END = "<!-- web bench -->", "<!-- end of web bench -->"
SECTIONS: dict[str, Section] = {"rendering": rendering, "streaming": streaming, "fits": fits}


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print and perhaps write the table; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench-web", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter: a first look")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="these parts only")
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file as well")
    asked = parser.parse_args(words)
    begun, facts = time.monotonic(), machine_facts()
    print("\n".join(facts[:2]), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-web-") as scratch:
        options = options_of(Path(scratch), quick=asked.quick)
        figures = [figure for name in asked.only or SECTIONS for figure in _section(name, options)]
    text = table(figures, HEADS)
    form = f"{'quick' if asked.quick else 'full'} form, {(time.monotonic() - begun) / 60:.1f} minutes"
    print(f"\n{text}\n\n{form}")
    if asked.write:
        _write(asked.write, text, (*facts[:2], form))
    _report(figures)
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def _write(path: Path, text: str, facts: Sequence[str]) -> None:
    """Put the table between the marks of a page that has them, else write a page of its own."""
    own = f"{text}\n\nMeasured {'; '.join(facts)}.\n"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, mark, rest = page.partition(BEGIN)
    page = (
        f"{before}{BEGIN}\n{own}{END}{rest.partition(END)[2]}" if mark else f"# Figures of the page\n\n{own}"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _report(figures: Sequence[Figure]) -> None:
    """Tell the run of all that tries the page, where there is one, of the figures that have a bar."""
    if importlib.util.find_spec("reporting") is None:
        return
    import reporting  # noqa: PLC0415 -- of the tests, which are on the path of such a run only

    for figure in figures:
        if figure.bar:
            reporting.figure(figure.what.strip(), figure.ours, bar=figure.bar, met=figure.reached == "yes")


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
