"""The routing plan document: routes, states, reasons, and all that a training plan is made from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from planner.config import RoutingConfig
from planner.errors import PlanUnreadable
from planner.routing import (
    ROUTE_BLOCKED,
    ROUTE_EXPERIMENTAL_ONLY,
    Signal,
    SymbolRoute,
    TargetRoute,
    route_counts,
    route_target,
)
from planner.tables import Candidate

SCHEMA_VERSION = 1
CANDIDATES_FILE = "routing_candidates.parquet"


def routing_plan(
    candidates: Sequence[Candidate],
    config: RoutingConfig,
    *,
    targets: Sequence[str],
    symbols: Sequence[str],
    generated_at: str,
    provenance: Mapping[str, Any],
    as_given: bool = False,
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Return the routing plan of `targets` x `symbols` as a JSON document.

    `provenance` goes into metadata as it is (config_hash, fingerprints, data, training). `left_out` maps
    targets that were never candidates to their reasons; they are listed under `blocked`.
    """
    routes = [
        route_target(
            target, [row for row in candidates if row.target == target], symbols, config, as_given=as_given
        )
        for target in sorted(set(targets))
    ]
    blocked = {target: list(reasons) for target, reasons in (left_out or {}).items()}
    blocked.update({route.target: _refusal(route) for route in routes if _is_blocked(route)})
    return {
        "metadata": {
            "schema_version": SCHEMA_VERSION,
            "generated_at": generated_at,
            "metrics_snapshot": CANDIDATES_FILE,
            "view": "CROSS_SECTIONAL",
            **provenance,
        },
        "targets": {route.target: _target_document(route) for route in routes},
        "blocked": dict(sorted(blocked.items())),
        "summary": {
            "total_targets": len(routes),
            "total_symbols": len(symbols),
            "by_route": dict(route_counts(routes)),
            "cross_sectional_enabled": sum(route.cross_sectional_route != ROUTE_BLOCKED for route in routes),
        },
    }


def load_routing_plan(path: Path | str) -> dict[str, Any]:
    """Return the routing plan at `path`: the file itself, or a directory holding routing_plan.json or .yaml.

    Raises:
        PlanUnreadable: nothing there, not parseable, or not a routing plan.
    """
    place = Path(path)
    if place.is_dir():
        found = [place / name for name in ("routing_plan.json", "routing_plan.yaml")]
        place = next((file for file in found if file.is_file()), found[0])
    try:
        text = place.read_text(encoding="utf-8")
        document = yaml.safe_load(text) if place.suffix in (".yaml", ".yml") else json.loads(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise PlanUnreadable(
            "the routing plan cannot be read",
            where=str(place),
            fix=f"make it again with `trainwright plan make` ({error})",
        ) from error
    check_routing_plan(document, str(place))
    return dict(document)


def check_routing_plan(document: object, where: str) -> None:
    """Check the shape that a training plan needs: targets, each with its switch and its symbols.

    Raises:
        PlanUnreadable: names the first place that does not fit.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("targets"), Mapping):
        raise PlanUnreadable("not a routing plan: `targets` is missing", where=where)
    for target, routes in document["targets"].items():
        place = f"{where}: targets.{target}"
        if not isinstance(routes, Mapping) or not isinstance(routes.get("symbols", {}), Mapping):
            raise PlanUnreadable("expected `cross_sectional` and `symbols`", where=place)
        for symbol, row in routes.get("symbols", {}).items():
            if not isinstance(row, Mapping) or not isinstance(row.get("route"), str):
                raise PlanUnreadable("expected a `route`", where=f"{place}.symbols.{symbol}")


def _is_blocked(route: TargetRoute) -> bool:
    return route.cross_sectional_route == ROUTE_BLOCKED and all(
        row.route == ROUTE_BLOCKED
        or (row.route == ROUTE_EXPERIMENTAL_ONLY and row.local.state != "EXPERIMENTAL")
        for row in route.symbols
    )


def _refusal(route: TargetRoute) -> list[str]:
    return [
        f"all symbols: {route.cross_sectional.reason}",
        *(f"{row.symbol}: {row.local.reason}" for row in route.symbols),
    ]


def _target_document(route: TargetRoute) -> dict[str, Any]:
    candidate = route.candidate
    known = next((row for row in (candidate, *(s.candidate for s in route.symbols)) if row is not None), None)
    enabled = route.cross_sectional_route != ROUTE_BLOCKED
    return {
        "task": known.task_type if known else None,
        "horizon_bars": known.horizon_bars if known else None,
        "rank": known.target_rank if known else None,
        "cross_sectional": {
            "state": route.cross_sectional.state,
            "route": "ENABLED" if enabled else "DISABLED",
            "training_route": route.cross_sectional_route,
            "reason": _switch_reason(enabled=enabled, signal=route.cross_sectional),
            **_numbers(candidate),
        },
        "symbols": {row.symbol: _symbol_document(row, route.cross_sectional) for row in route.symbols},
    }


def _switch_reason(*, enabled: bool, signal: Signal) -> str:
    return f"CS training {'enabled' if enabled else 'disabled'}: {signal.reason}"


def _symbol_document(row: SymbolRoute, pooled: Signal) -> dict[str, Any]:
    return {
        "route": row.route,
        "cs_state": pooled.state,
        "local_state": row.local.state,
        "reason": list(row.reasons),
        **_numbers(row.candidate),
    }


def _numbers(candidate: Candidate | None) -> dict[str, Any]:
    if candidate is None:
        return {"score": None, "sample_size": None, "features": None, "blocked_features": []}
    return {
        "metric": candidate.metric_name,
        "score": candidate.score,
        "standard_error": candidate.standard_error,
        "score_ci_low": candidate.score_ci_low,
        "score_ci_high": candidate.score_ci_high,
        "q_value": candidate.q_value,
        "stability": candidate.stability,
        "leakage_status": candidate.leakage_status,
        "sample_size": candidate.sample_size,
        "feature_set_id": candidate.feature_set_id,
        "features": list(candidate.features) or None,
        "blocked_features": list(candidate.blocked_features),
    }
