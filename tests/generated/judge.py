"""Hold what the planner wrote against the truth of a generated panel: what is right, and why what is not.

Read are the METRICS tables and routing_plan.json of a results tree. A perfect answer scores perfectly; what
each figure counts is said in `figures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generated.truth import BLOCKED, BOTH, CROSS_SECTIONAL, SYMBOL_SPECIFIC, TargetTruth, Truth

from planner.artifacts import read_table

Row = Mapping[str, Any]
EXPERIMENTAL = "EXPERIMENTAL"
WORTHWHILE_IC = 0.05
LINEAR_KINDS = ("strong_linear", "weak_linear")
_OWN_ROUTES = ("ROUTE_SYMBOL_SPECIFIC", "ROUTE_BOTH")
_POOLED_ROUTES = ("ROUTE_CROSS_SECTIONAL", "ROUTE_BOTH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the planner said of one panel."""

    ranking: Sequence[Row]
    leaks: Sequence[Row]
    selections: Sequence[Row]
    routing_plan: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTarget:
    """One target: what is true, what was said, and why it was said."""

    truth: TargetTruth
    kept: bool
    rank: int | None
    route: str
    own_right: tuple[str, ...]
    own_false: tuple[str, ...]
    own_missed: tuple[str, ...]
    score: float | None  # of all symbols, above no skill
    selected: int  # features chosen for the model of all symbols
    true_selected: int  # of them of the law
    reason: str

    @property
    def worthwhile(self) -> bool:
        """Whether it can be predicted well enough that leaving it out is a miss."""
        return self.truth.predictable and (self.truth.oracle_ic or 0.0) >= WORTHWHILE_IC

    @property
    def right_route(self) -> bool:
        """Whether it is trained as it should be, or blocked as it should be."""
        return self.route == self.truth.route

    @property
    def share_of_oracle(self) -> float | None:
        """The score over that of the true conditional mean; linear targets of all symbols only."""
        if self.truth.kind not in LINEAR_KINDS or not self.truth.oracle_ic:
            return None
        return (self.score or 0.0) / self.truth.oracle_ic


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLeak:
    """One planted leak and the verdict on it for its own target."""

    kind: str
    feature: str
    target: str
    target_kind: str
    verdict: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarm:
    """A safe pair that was blocked."""

    feature: str
    target: str
    target_kind: str
    probe: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One panel, judged."""

    seed: int
    targets: tuple[JudgedTarget, ...]
    leaks: tuple[JudgedLeak, ...]
    false_alarms: tuple[FalseAlarm, ...]
    safe_pairs: int
    safe_features: int
    safe_features_blocked: tuple[str, ...]
    selected_leaks: tuple[tuple[str, str], ...]  # (feature, target) chosen although it knows the future
    cpu_seconds: float | None = None

    @property
    def first(self) -> JudgedTarget | None:
        """The target that was ranked best."""
        return next((target for target in self.targets if target.rank == 1), None)


def read_answer(results_dir: Path) -> Answer:
    """The tables and the routing plan of a results tree."""
    plan = results_dir / "METRICS" / "routing_plan" / "routing_plan.json"
    return Answer(
        ranking=read_table(results_dir, "target_ranking"),
        leaks=read_table(results_dir, "leakage"),
        selections=read_table(results_dir, "feature_selection"),
        routing_plan=json.loads(plan.read_text(encoding="utf-8")),
    )


def judge(truth: Truth, answer: Answer, *, cpu_seconds: float | None = None) -> Judgement:
    """Judge one panel's answer."""
    leaked = truth.leaked()
    kinds = {target.name: target.kind for target in truth.targets}
    verdicts = {(row["feature"], row["target"]): row for row in answer.leaks}
    alarms = [
        FalseAlarm(
            feature=feature,
            target=target,
            target_kind=kinds.get(target, ""),
            probe=row["probe"] or "",
            evidence=row["evidence"],
        )
        for (feature, target), row in verdicts.items()
        if row["verdict"] == BLOCKED and (feature, target) not in leaked
    ]
    leaking = {leak.feature for leak in truth.leaks}
    return Judgement(
        seed=truth.seed,
        targets=tuple(_judged_target(target, answer, leaking) for target in truth.targets),
        leaks=tuple(
            JudgedLeak(
                kind=leak.kind,
                feature=leak.feature,
                target=leak.target,
                target_kind=kinds[leak.target],
                verdict=_of(verdicts, leak.feature, leak.target, "verdict") or "none",
                evidence=_of(verdicts, leak.feature, leak.target, "evidence"),
            )
            for leak in truth.leaks
        ),
        false_alarms=tuple(alarms),
        safe_pairs=len(truth.features) * len(truth.targets) - len(leaked),
        safe_features=len(truth.features) - len(leaking),
        safe_features_blocked=tuple(sorted({alarm.feature for alarm in alarms} - leaking)),
        selected_leaks=tuple(
            sorted(
                {
                    (row["feature"], row["target"])
                    for row in answer.selections
                    if row["selected"] and (row["feature"], row["target"]) in leaked
                }
            )
        ),
        cpu_seconds=cpu_seconds,
    )


def _of(verdicts: Mapping[tuple[str, str], Row], feature: str, target: str, column: str) -> str:
    row = verdicts.get((feature, target))
    return "" if row is None else str(row[column])


def _judged_target(truth: TargetTruth, answer: Answer, leaking: set[str]) -> JudgedTarget:
    rows = [row for row in answer.ranking if row["target"] == truth.name]
    pooled = next((row for row in rows if row["view"] == CROSS_SECTIONAL), None)
    document = answer.routing_plan["targets"].get(truth.name)
    route, own = found_route(document)
    chosen = [
        row["feature"]
        for row in answer.selections
        if row["target"] == truth.name and row["symbol"] is None and row["selected"]
    ]
    deserved = set(truth.own_symbols)
    return JudgedTarget(
        truth=truth,
        kept=any(row["kept"] for row in rows),
        rank=next((row["rank"] for row in rows if row["rank"] is not None), None),
        route=route,
        own_right=tuple(sorted(own & deserved)),
        own_false=tuple(sorted(own - deserved)),
        own_missed=tuple(sorted(deserved - own)),
        score=None if pooled is None else pooled["skill"],
        selected=len(chosen),
        true_selected=len(set(chosen) & set(truth.features)),
        reason=_reasons(truth, rows, document, answer),
    )


def found_route(document: Row | None) -> tuple[str, set[str]]:
    """The route of a target in the routing plan, and the symbols that get a model of their own.

    A target that is only tried in the experimental lane has the route EXPERIMENTAL, which is never right.
    """
    if document is None:
        return BLOCKED, set()
    routes = {symbol: row["route"] for symbol, row in document["symbols"].items()}
    switch = document["cross_sectional"]
    together = switch["route"] == "ENABLED" and switch["training_route"] in _POOLED_ROUTES
    own = {symbol for symbol, route in routes.items() if route in _OWN_ROUTES}
    if together:
        return (BOTH if own else CROSS_SECTIONAL), own
    if own:
        return SYMBOL_SPECIFIC, own
    tried = switch["training_route"] == "ROUTE_EXPERIMENTAL_ONLY"
    tried = tried or "ROUTE_EXPERIMENTAL_ONLY" in routes.values()
    return (EXPERIMENTAL if tried else BLOCKED), own


def _reasons(truth: TargetTruth, rows: Sequence[Row], document: Row | None, answer: Answer) -> str:
    """The planner's own sentences about a target: the ranking's, the switch's, the blocked list's."""
    said = [str(row["reason"]) for row in rows if row["view"] == CROSS_SECTIONAL]
    said += [f"{row['symbol']}: {row['reason']}" for row in rows if row["symbol"] and row["kept"]]
    if document is not None:
        said.append(str(document["cross_sectional"]["reason"]))
    elif truth.name in answer.routing_plan["blocked"]:
        said += [str(reason) for reason in answer.routing_plan["blocked"][truth.name][:1]]
    return " | ".join(dict.fromkeys(said))
