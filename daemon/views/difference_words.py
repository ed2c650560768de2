"""How two plannings differ, in words: the same lines on the screen, on the page and in the report."""

from __future__ import annotations

import json
from collections.abc import Callable

from daemon.views.words import names_words
from planner.comparing import Change, Comparison, JobChange, RouteChange

REASONS_MAX = 3
VALUE_MAX = 40
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def comparison_parts(comparison: Comparison) -> dict[str, list[str]]:
    """The lines of each part that is not empty, by its label: settings, data, ranks, routes, jobs."""
    scores = {target: moves[0].words for target, moves in comparison.scores.items()}
    parts = {
        "settings": [_change_words(change) for change in comparison.settings],
        "data": [_change_words(change) for change in comparison.data],
        "ranks": [_rank_words(change, scores) for change in comparison.ranks],
        "routes": [_route_words(change) for change in comparison.routes],
        "jobs": [_job_words(change) for change in comparison.jobs],
    }
    return {label: lines for label, lines in parts.items() if lines}


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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"
