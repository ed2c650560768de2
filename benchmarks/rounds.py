"""Measure alternatives in interleaved rounds and print the ratios of their medians.

Rounds alternate in order (A B, B A, ...), so that a machine getting slower or faster hits both alike.
Processor time is the figure to trust where others share the machine; wall time stands beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Median seconds of one alternative."""

    name: str
    cpu_seconds: float
    wall_seconds: float


def measure(alternatives: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> list[Timing]:
    """Time each alternative once a round, in turning order; return medians in the order given."""
    cpu: dict[str, list[float]] = {name: [] for name in alternatives}
    wall: dict[str, list[float]] = {name: [] for name in alternatives}
    for number in range(rounds):
        names = list(alternatives) if number % 2 == 0 else list(reversed(list(alternatives)))
        for name in names:
            cpu_from, wall_from = time.process_time(), time.perf_counter()
            alternatives[name]()
            cpu[name].append(time.process_time() - cpu_from)
            wall[name].append(time.perf_counter() - wall_from)
    return [
        Timing(
            name=name, cpu_seconds=statistics.median(cpu[name]), wall_seconds=statistics.median(wall[name])
        )
        for name in alternatives
    ]


def print_ratios(title: str, timings: list[Timing]) -> None:
    """Print the table; the first alternative is the floor that the others are compared with."""
    floor = timings[0]
    print(f"\n{title}")
    print(f"  {'':<44}{'cpu s':>9}{'ratio':>8}{'wall s':>9}{'ratio':>8}")
    for timing in timings:
        print(
            f"  {timing.name:<44}{timing.cpu_seconds:>9.4f}{timing.cpu_seconds / floor.cpu_seconds:>8.2f}"
            f"{timing.wall_seconds:>9.4f}{timing.wall_seconds / floor.wall_seconds:>8.2f}"
        )
