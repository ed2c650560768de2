"""The planning told while it happens, and its decisions in tables when it is done.

The narrator also collects the planner's decisions, which are events of the log like all others.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from daemon.cli.screen import bar, say, speakable, table, tell
from daemon.views.words import names_words, number, route_words, score_words, span
from planner.moved import gist
from planner.request import STEPS, PlanningResult, Progress
from store.planning_events import PlanningEvent

LINES_MAX = 40
LEAKS_MAX = 8
VIEW_CROSS_SECTIONAL = "CROSS_SECTIONAL"


class PlanningNarrator:
    """Tells each step on stderr with its time, and keeps the events for the log."""

    def __init__(self) -> None:
        self.events: list[PlanningEvent] = []
        self._step: str | None = None
        self._from = time.monotonic()
        self._live = sys.stderr.isatty()

    def __call__(self, word: object) -> None:
        """Take one word of the planner."""
        if isinstance(word, PlanningEvent):
            self.events.append(word)
        elif isinstance(word, Progress):
            self._progress(word)

    def _progress(self, word: Progress) -> None:
        if word.step != self._step:
            self.finish()
            self._step, self._from = word.step, time.monotonic()
        if self._live and word.total > 1:
            left = "" if word.seconds_left is None else f"~{span(word.seconds_left)} left"
            text = f"{self._label()}  {bar(word.done, word.total)} {left:<13} {word.words[:40]:<40}"
            click.echo("\r" + speakable(text, sys.stderr), nl=False, err=True)

    def finish(self) -> None:
        """End the line of the step that was under way."""
        if self._step is None:
            return
        start = "\r" if self._live else ""
        line = f"{self._label()}  {span(time.monotonic() - self._from):>6}"
        text = f"{line:<110}" if start else line
        click.echo(start + speakable(text, sys.stderr), err=True)
        self._step = None

    def _label(self) -> str:
        step = self._step or ""
        number = STEPS.index(step) + 1 if step in STEPS else 0
        return f" {number}/{len(STEPS)} {step:<22}"


def show_planning(result: PlanningResult) -> None:
    """Print what was ranked, what leaks, what is routed where, and why."""
    say()
    say(f"targets, by out-of-sample skill over {result.rows:,} rows of {', '.join(result.symbols)}")
    say(ranking_table(result.ranking))
    _show_leaks(result.leaks)
    _show_routes(result.routing_plan, result.blocked)
    for warning in result.warnings:
        tell(f"warning: {warning}")
    if result.from_cache:
        tell(f"from the cache: {', '.join(result.from_cache)}")


def ranking_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """One line per target: the verdict on all symbols together, how many keep it alone, and the reason."""
    by_target: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_target.setdefault(row["target"], []).append(row)
    ordered = sorted(by_target.values(), key=_rank_of)
    lines = [_ranking_line(group) for group in ordered[:LINES_MAX]]
    headers = ("target", "metric", "score", "q", "pooled", "alone", "reason")
    text = table(headers, lines, right=("q",), shrink="reason")
    rest = len(ordered) - LINES_MAX
    return text + (f"\n… and {rest} more: METRICS/target_ranking.parquet" if rest > 0 else "")


def _rank_of(group: Sequence[Mapping[str, Any]]) -> tuple[bool, int, float]:
    rank = group[0]["rank"]
    skill = max((row["skill"] for row in group if row["skill"] is not None), default=-1.0)
    return (rank is None, rank or 0, -skill)


def _ranking_line(group: Sequence[Mapping[str, Any]]) -> tuple[object, ...]:
    pooled = next((row for row in group if row["view"] == VIEW_CROSS_SECTIONAL), group[0])
    alone = [row for row in group if row["symbol"] is not None]
    kept_alone = sum(row["kept"] for row in alone)
    verdict = "keep" if pooled["kept"] else "drop"
    score = score_words(pooled["score"], pooled["standard_error"])
    q_value = number(pooled["q_value"])
    count = f"{kept_alone}/{len(alone)}" if alone else "-"
    return (pooled["target"], pooled["metric_name"], score, q_value, verdict, count, _gist(pooled))


def _gist(row: Mapping[str, Any]) -> str:
    """What a reason says beside the verdict and the numbers, which stand in columns of their own."""
    if not row["kept"]:
        return gist(row["reason"])
    _, _, said = row["reason"].partition(": ")
    return str(said.partition("; ")[2] or said)


def _show_leaks(rows: Iterable[Mapping[str, Any]]) -> None:
    found = [row for row in rows if row["verdict"] == "BLOCKED"]
    if not found:
        return
    say()
    say("leaks: features that know a target's future are blocked for it")
    shown = [(row["target"], row["feature"], row["verdict"], row["probe"], row["evidence"]) for row in found]
    headers = ("target", "feature", "verdict", "probe", "evidence")
    say(table(headers, shown[:LEAKS_MAX], shrink="evidence"))
    if len(shown) > LEAKS_MAX:
        say(f"… and {len(shown) - LEAKS_MAX} more: METRICS/leakage.parquet")


def _show_routes(routing_plan: Mapping[str, Any], blocked: Mapping[str, Sequence[str]]) -> None:
    lines = []
    for target, routes in routing_plan["targets"].items():
        if target in blocked:
            continue
        pooled = routes["cross_sectional"]
        lines.append((target, route_words(pooled["route"]), _symbol_routes(routes["symbols"])))
    if lines:
        say()
        say("routes: one model for all symbols, one per symbol, or both")
        say(table(("target", "all symbols", "each symbol"), lines, shrink="each symbol"))
    if blocked:
        say()
        say(
            f"not trained: {len(blocked)} targets, each with its reasons in "
            "METRICS/routing_plan/routing_plan.md"
        )
    if lines or blocked:
        say("why       trainwright plan explain TARGET: the whole chain, with every number")


def _symbol_routes(symbols: Mapping[str, Mapping[str, Any]]) -> str:
    """The symbols of each route together: ``both GOOG, IBM; cross sectional AAPL``."""
    by_route: dict[str, list[str]] = {}
    for symbol, entry in symbols.items():
        by_route.setdefault(entry["route"], []).append(symbol)
    return "; ".join(f"{route_words(route)} {names_words(names)}" for route, names in by_route.items()) or "-"
