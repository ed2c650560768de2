"""Made-up answers of the planner: the perfect one to a truth, to be spoiled in one place."""

from __future__ import annotations

from typing import Any

from generated.judge import Answer
from generated.truth import BOTH, CROSS_SECTIONAL, SYMBOL_SPECIFIC, TargetTruth, Truth


def perfect_answer(truth: Truth) -> Answer:
    """What a planner that knows the truth would write."""
    leaked = truth.leaked()
    order = sorted(
        (target for target in truth.targets if target.predictable),
        key=lambda target: -(target.oracle_ic or 0.0),
    )
    ranks = {target.name: place for place, target in enumerate(order, start=1)}
    return Answer(
        ranking=[_ranked(target, ranks.get(target.name)) for target in truth.targets],
        leaks=[
            {
                "feature": feature,
                "target": target.name,
                "verdict": "BLOCKED" if (feature, target.name) in leaked else "SAFE",
                "probe": "known" if (feature, target.name) in leaked else None,
                "evidence": "it is known",
            }
            for target in truth.targets
            for feature in truth.features
        ],
        selections=[
            {"target": target.name, "symbol": None, "feature": feature, "selected": True}
            for target in order
            for feature in target.features
        ],
        routing_plan={
            "targets": {target.name: _routed(target, truth) for target in order},
            "blocked": {
                target.name: ["nothing to know"] for target in truth.targets if not target.predictable
            },
        },
    )


def _ranked(target: TargetTruth, rank: int | None) -> dict[str, Any]:
    return {
        "target": target.name,
        "view": CROSS_SECTIONAL,
        "symbol": None,
        "kept": target.predictable,
        "rank": rank,
        "skill": target.oracle_ic,
        "reason": "it is known",
    }


def _routed(target: TargetTruth, truth: Truth) -> dict[str, Any]:
    together = target.route in {CROSS_SECTIONAL, BOTH}
    others = "ROUTE_CROSS_SECTIONAL" if together else "ROUTE_BLOCKED"
    own = "ROUTE_SYMBOL_SPECIFIC" if target.route == SYMBOL_SPECIFIC else "ROUTE_BOTH"
    return {
        "cross_sectional": {
            "route": "ENABLED" if together else "DISABLED",
            "training_route": "ROUTE_CROSS_SECTIONAL" if together else "ROUTE_BLOCKED",
            "reason": "it is known",
        },
        "symbols": {
            symbol: {"route": own if symbol in target.own_symbols else others} for symbol in truth.symbols
        },
    }
