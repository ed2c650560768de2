"""Rounds, ratios and the table: A B C, C B A, and the median of the ratios of one and the same round.

Other work on the machine hits neighbours of a round alike, so a ratio is only formed within a round. The
spread in brackets is the lowest and the highest ratio of all rounds.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

HEADS = ("what", "floor", "ours", "ratio (lowest-highest)", "bar", "reached", "CPU ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """So many things done, in so many seconds, for so many CPU seconds of clients, workers and server."""

    done: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Things a second."""
        return self.done / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds a thing."""
        return self.cpu_seconds / self.done


Side = Callable[[], Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The samples of each side, one for each round."""

    samples: Mapping[str, Sequence[Sample]]

    def rate(self, side: str) -> float:
        """Return the median rate of a side."""
        return statistics.median(sample.rate for sample in self.samples[side])

    def ratios(self, side: str, floor: str) -> list[float]:
        """Return the rates of a side over those of the floor in the same rounds."""
        pairs = zip(self.samples[side], self.samples[floor], strict=True)
        return [one.rate / other.rate for one, other in pairs]

    def cpu_ratio(self, side: str, floor: str) -> float:
        """Return the median of CPU a thing over that of the floor, same rounds."""
        pairs = zip(self.samples[side], self.samples[floor], strict=True)
        return statistics.median(one.cpu / other.cpu if other.cpu else 0.0 for one, other in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table."""

    what: str
    floor: str = ""
    ours: str = ""
    ratio: str = ""
    bar: str = ""
    reached: str = ""
    cpu: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's words, in the order of the heads."""
        return (self.what, self.floor, self.ours, self.ratio, self.bar, self.reached, self.cpu)


def compare(sides: Mapping[str, Side], *, rounds: int) -> Comparison:
    """Measure every side once a round, forwards and backwards in turn."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(reversed(list(sides)))
        for name in names:
            samples[name].append(sides[name]())
    return Comparison(samples=samples)


def timed(act: Callable[[], int], *, server_pid: int | None = None) -> Sample:
    """Return what an act did, how long it took and what it cost in this process and in the server."""
    server_from, own_from, wall_from = server_cpu(server_pid), time.process_time(), time.perf_counter()
    done = act()
    seconds = time.perf_counter() - wall_from
    own, server = time.process_time() - own_from, server_cpu(server_pid) - server_from
    return Sample(done=done, seconds=seconds, cpu_seconds=own + server)


def server_cpu(pid: int | None) -> float:
    """Return the CPU seconds that a server has used so far, its ended processes included; 0 for none."""
    if pid is None:
        return 0.0
    first = psutil.Process(pid)
    used = 0.0
    for process in (first, *first.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # it ended between the two looks
            continue
        used += times.user + times.system
        if process is first:
            used += times.children_user + times.children_system
    return used


def ratio_figure(
    what: str, comparison: Comparison, *, floor: str, ours: str, bar: float | None, above: bool = False
) -> Figure:
    """Return the row of a side against its floor; `bar` None is a row for the reader only."""
    ratios = comparison.ratios(ours, floor)
    middle = statistics.median(ratios)
    passed = bar is not None and (middle > bar if above else middle >= bar)
    return Figure(
        what=what,
        floor=f"{floor}: {comparison.rate(floor):,.0f}/s",
        ours=f"{ours}: {comparison.rate(ours):,.0f}/s",
        ratio=f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        bar="" if bar is None else f"{'>' if above else '>='} {bar:g}",
        reached="" if bar is None else verdict(passed),
        cpu=f"{comparison.cpu_ratio(ours, floor):.2f}",
    )


def verdict(passed: bool) -> str:
    """Return the word of the table for a bar."""
    return "yes" if passed else "NO"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least a share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Row(Protocol):
    """What can stand in a table."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's words, one for each head."""


def table(figures: Sequence[Row], heads: Sequence[str] = HEADS) -> str:
    """Return the rows as a Markdown table with aligned columns."""
    rows = [tuple(heads), *(figure.cells for figure in figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def say(sentence: str) -> None:
    """Tell the person who waits what is being measured."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)
