"""How two plannings differ, in lines: settings, data, what moved, which jobs came and went."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.cli.screen import say, wrapped
from daemon.views.difference_words import comparison_parts
from daemon.views.words import counted
from planner.comparing import Comparison

ROWS_MAX = 15


def say_comparison(comparison: Comparison, *, rows_max: int | None = ROWS_MAX) -> None:
    """Print a comparison, each part with at most so many lines and the count of the rest; None prints all."""
    counts = f"{counted(comparison.jobs_before, 'job')} -> {counted(comparison.jobs_after, 'job')}"
    say(wrapped("plans", f"{comparison.before} -> {comparison.after}: {counts}"))
    if comparison.equal:
        say("equal     the same jobs from the same data under the same settings")
        return
    for label, lines in comparison_parts(comparison).items():
        _say_part(label, lines, rows_max)
    if not (comparison.routes or comparison.jobs):
        say("jobs      all the same")


def _say_part(label: str, lines: Sequence[str], rows_max: int | None) -> None:
    for place, line in enumerate(lines[:rows_max]):
        say(wrapped("" if place else label, line))
    if rows_max is not None and len(lines) > rows_max:
        say(wrapped("", f"… and {len(lines) - rows_max} more: trainwright plan diff --json"))
