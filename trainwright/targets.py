"""Targets as the planner judged them: ranked, left out and why, leaks, selected features, routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.views.words import names_words, route_words, score_words
from store.records import DecisionRow
from trainwright.tables import Column, Table, facts_html, facts_text

ALL = "all symbols"
KEPT = {True: "kept", False: "dropped", None: "-"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Target:
    """One target of one symbol, or of all, as one planning judged it.

    Attributes:
        name: of the target.
        symbol: None for all.
        kept: whether it was kept; None where nothing was said.
        reason: why, in words with numbers.
        rank: its place among those that may be trained, from 1; None for none.
        score, standard_error, p, q, metric: of the ranking.
        route: which way it is trained, with `route_reason`.
        features: selected, the best one first, None where none were chosen for it.
        leaks: features that were suspect or blocked, with the verdict.
        planning_id: of the planning.
    """

    name: str
    symbol: str | None
    planning_id: str
    kept: bool | None = None
    reason: str = ""
    rank: int | None = None
    score: float | None = None
    standard_error: float | None = None
    p: float | None = None
    q: float | None = None
    metric: str = ""
    route: str | None = None
    route_reason: str = ""
    features: tuple[str, ...] | None = None
    leaks: tuple[tuple[str, str], ...] = field(default=())

    def __repr__(self) -> str:
        return facts_text(f"target {self.name} of {self.symbol or ALL}", self._facts())

    def _repr_html_(self) -> str:
        """What a notebook shows; every word is escaped."""
        return facts_html(f"target {self.name} of {self.symbol or ALL}", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        features = names_words(self.features, 12) if self.features else "-"
        return [
            ("score", f"{self.metric} {score_words(self.score, self.standard_error)}".strip()),
            ("ranked", self.reason or "-"),
            ("route", f"{route_words(self.route)}: {self.route_reason}" if self.route else "-"),
            ("features", features),
            ("leaks", names_words([f"{name} {verdict}" for name, verdict in self.leaks]) or "-"),
        ]


TARGETS: tuple[Column[Target], ...] = (
    Column(name="rank", value=lambda one: one.rank, right=True),
    Column(name="target", value=lambda one: one.name),
    Column(name="symbol", value=lambda one: one.symbol),
    Column(name="kept", value=lambda one: one.kept, words=lambda one: KEPT[one.kept]),
    Column(name="metric", value=lambda one: one.metric, shown=False),
    Column(
        name="score",
        value=lambda one: one.score,
        words=lambda one: score_words(one.score, one.standard_error),
    ),
    Column(name="standard_error", value=lambda one: one.standard_error, shown=False),
    Column(name="p", value=lambda one: one.p, shown=False),
    Column(name="q", value=lambda one: one.q, right=True),
    Column(
        name="route",
        value=lambda one: one.route,
        words=lambda one: route_words(one.route) if one.route else "-",
    ),
    Column(name="features", value=lambda one: one.features and len(one.features), right=True),
    Column(name="leaks", value=lambda one: len(one.leaks), right=True),
    Column(name="reason", value=lambda one: one.reason),
    Column(name="planning", value=lambda one: one.planning_id, shown=False),
)


def targets_table(decisions: Iterable[DecisionRow]) -> Table[Target]:
    """Return the targets that the decisions of one planning are about, the first in rank first."""
    found: dict[tuple[str, str | None], dict[str, object]] = {}
    leaks: dict[str, list[tuple[str, str]]] = {}
    for row in decisions:
        if row.target is None:
            continue
        if row.kind == "LeakFound":
            leaks.setdefault(row.target, []).append((row.data["feature"], row.data["verdict"]))
            continue
        told = found.setdefault((row.target, row.symbol), {"planning_id": row.planning_id})
        told |= _told(row)
    rows = [
        Target(name=name, symbol=symbol, leaks=tuple(leaks.get(name, ())), **told)  # type: ignore[arg-type]
        for (name, symbol), told in found.items()
    ]
    ranks = {row.name: row.rank for row in rows if row.rank is not None}
    kept = {row.name for row in rows if row.kept}
    ordered = sorted(
        rows,
        key=lambda row: (
            ranks.get(row.name, len(rows)), row.name not in kept, row.name, row.symbol or "",
        ),
    )  # fmt: skip
    return Table(tuple(ordered), TARGETS, "target")


def _told(row: DecisionRow) -> dict[str, object]:
    data = row.data
    if row.kind == "TargetRanked":
        names = ("kept", "reason", "rank", "score", "standard_error", "p", "q", "metric")
        return {name: data[name] for name in names if name in data}
    if row.kind == "FeaturesSelected":
        return {"features": tuple(data["features"])}
    if row.kind == "RouteChosen":
        return {"route": data["route"], "route_reason": data["reason"]}
    return {}
