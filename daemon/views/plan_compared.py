"""How two accepted plans differ: settings, data, ranks, routes and jobs, with the numbers that moved."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from daemon.views.plan_facts import Scored, TargetTold
from daemon.views.plan_told import known_plan
from planner.comparing import Comparison, compare
from planner.findings import Results
from store.plan import ROUTE_BLOCKED
from store.reading import Reader


@lru_cache(maxsize=16)
def compared(reader: Reader, before: str, after: str) -> Comparison:
    """Return how two plans differ, each with the planning it came from; remembered, for plans do not change.

    Raises:
        NotFound: one of them was never accepted.
    """
    return compare(findings_of(reader, before), findings_of(reader, after))


def plan_before(reader: Reader, plan_id: str) -> str | None:
    """Return the plan that was accepted right before this one; None for the first."""
    ids = [plan.id for plan in reader.plans()]
    if plan_id not in ids:
        return None
    earlier = ids[: ids.index(plan_id)]
    return earlier[-1] if earlier else None


def findings_of(reader: Reader, plan_id: str) -> Results:
    """Return an accepted plan with what its planning found, as far as the log says.

    Raises:
        NotFound: it was never accepted.
    """
    plan, told = reader.plan(plan_id), known_plan(reader, plan_id)
    ranking = [_row(target, one) for target in told.targets for one in target.scored]
    decided = told.planning is not None
    return Results(
        place=plan_id,
        targets={target.name: target.rank for target in told.targets},
        ranking=ranking if decided else (),
        routes=_routes(told.targets) if decided else None,
        plan=plan.document,
    )


def _row(target: TargetTold, one: Scored) -> dict[str, Any]:
    return {
        "target": target.name,
        "view": "CROSS_SECTIONAL" if one.symbol is None else "SYMBOL_SPECIFIC",
        "symbol": one.symbol,
        "metric_name": one.metric or None,
        "rank": target.rank,
        "score": one.score,
        "score_ci_low": one.low,
        "p_value": one.p,
        "q_value": one.q,
        "kept": one.kept,
        "reason": one.reason,
    }


def _routes(targets: tuple[TargetTold, ...]) -> dict[str, Any]:
    """The routes in the form of the routing plan, as far as the log says them."""
    found, blocked = {}, {}
    for target in targets:
        pooled = next((one for one in target.routes if one.symbol is None), None)
        alone = {one.symbol: one for one in target.routes if one.symbol is not None}
        if pooled is not None and pooled.route == ROUTE_BLOCKED and not alone:
            blocked[target.name] = list(target.not_trained) or [pooled.reason]
            continue
        if pooled is None and not alone:
            continue
        route = ROUTE_BLOCKED if pooled is None else pooled.route
        found[target.name] = {
            "rank": target.rank,
            "cross_sectional": {
                "route": "DISABLED" if route == ROUTE_BLOCKED else "ENABLED",
                "training_route": route,
                "reason": "" if pooled is None else pooled.reason,
            },
            "symbols": {name: {"route": one.route, "reason": [one.reason]} for name, one in alone.items()},
        }
    return {"targets": found, "blocked": blocked}
