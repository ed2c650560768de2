"""How two plannings differ, in lines: settings, data, what moved, which jobs came and went."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from daemon.cli.screen import cut, say, wrapped
from daemon.views.words import names_words
from planner.comparing import Change, Comparison, JobChange, RouteChange

ROWS_MAX = 15
REASONS_MAX = 3
VALUE_MAX = 40
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def say_comparison(comparison: Comparison, *, rows_max: int | None = ROWS_MAX) -> None:
    """Print a comparison, each part with at most so many lines and the count of the rest; None prints all."""
    counts = f"{comparison.jobs_before} jobs -> {comparison.jobs_after} jobs"
    say(wrapped("plans", f"{comparison.before} -> {comparison.after}: {counts}"))
    if comparison.equal:
        say("equal     the same jobs from the same data under the same settings")
        return
    scores = {target: moves[0].words for target, moves in comparison.scores.items()}
    _say_part("settings", map(_change_words, comparison.settings), rows_max)
    _say_part("data", map(_change_words, comparison.data), rows_max)
    _say_part("ranks", (_rank_words(change, scores) for change in comparison.ranks), rows_max)
    _say_part("routes", map(_route_words, comparison.routes), rows_max)
    _say_part("jobs", map(_job_words, comparison.jobs), rows_max)
    if not (comparison.routes or comparison.jobs):
        say("jobs      all the same")


def _say_part(label: str, lines: Iterable[str], rows_max: int | None) -> None:
    every = list(lines)
    for place, line in enumerate(every[:rows_max]):
        say(wrapped("" if place else label, line))
    if rows_max is not None and len(every) > rows_max:
        say(wrapped("", f"… and {len(every) - rows_max} more: trainwright plan diff --json"))


def _change_words(change: Change) -> str:
    return f"{change.name} {_value(change.before)} -> {_value(change.after)}"


def _rank_words(change: Change, scores: dict[str, str]) -> str:
    score = f" ({scores[change.name]})" if change.name in scores else ""
    return f"{change.name} {change.before or 'no rank'} -> {change.after or 'no rank'}{score}"


def _route_words(change: RouteChange) -> str:
    who = f"{change.target} {change.symbol or 'all symbols'}"
    return f"{who}: {change.before or 'not planned'} -> {change.after or 'not planned'}{_why(change.because)}"


def _job_words(change: JobChange) -> str:
    parts = [f"{item.name} {_value(item.before)} -> {_value(item.after)}" for item in change.changes]
    lists: list[tuple[str, tuple[str, ...], Callable[[str], str]]] = [
        ("features", change.features_added, "+{}".format),
        ("features", change.features_removed, "-{}".format),
        ("families", change.families_added, "+{}".format),
        ("families", change.families_removed, "-{}".format),
    ]
    parts += [f"{noun} {names_words([sign(name) for name in names])}" for noun, names, sign in lists if names]
    words = f"{SIGNS[change.kind]} {change.job_id}"
    if parts:
        words += f": {'; '.join(parts)}"
    elif change.kind != "changed":
        words += f" ({change.route_after or change.route_before})"
    return f"{words}{_why(change.because)}"


def _why(because: tuple[str, ...]) -> str:
    return f" because {', '.join(because[:REASONS_MAX])}" if because else ""


def _value(value: object) -> str:
    """A value as it would be written in a file, cut; "nothing" for none."""
    if value is None:
        return "nothing"
    return cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE_MAX)
