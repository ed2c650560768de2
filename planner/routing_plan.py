"""The routing plan document: routes, states, reasons, and all that a training plan is made from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from panel.errors import nearest
from planner.config import RoutingConfig, config_document
from planner.errors import PlanUnreadable
from planner.routing import (
    ROUTE_BLOCKED,
    ROUTES,
    SymbolRoute,
    TargetRoute,
    route_counts,
    route_target,
    trains,
)
from planner.signals import Signal
from planner.tables import Candidate
from store.collecting import uncollected

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
    wanted = sorted(set(targets))
    rows = _by_target(candidates)
    with uncollected():
        routes = [
            route_target(target, rows.get(target, ()), symbols, config, as_given=as_given)
            for target in wanted
        ]
        documents = {route.target: _target_document(route) for route in routes}
    blocked = {target: list(reasons) for target, reasons in (left_out or {}).items()}
    blocked.update({route.target: _refusal(route) for route in routes if not trains(route)})
    return {
        "metadata": {
            "schema_version": SCHEMA_VERSION,
            "generated_at": generated_at,
            "metrics_snapshot": CANDIDATES_FILE,
            "view": "CROSS_SECTIONAL",
            **provenance,
            "settings": {**provenance.get("settings", {}), "routing": config_document(config)},
        },
        "targets": documents,
        "blocked": dict(sorted(blocked.items())),
        "summary": {
            "total_targets": len(routes),
            "total_symbols": len(set(symbols)),
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
            if row["route"] not in ROUTES:
                raise _unknown_route(row["route"], f"{place}.symbols.{symbol}.route")


def _unknown_route(route: str, where: str) -> PlanUnreadable:
    near = nearest(route, ROUTES)
    fix = f"did you mean {near}?" if near else f"use one of {', '.join(ROUTES)}"
    return PlanUnreadable(f"unknown route {route!r}", where=where, fix=fix)


def _by_target(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for row in candidates:
        found.setdefault(row.target, []).append(row)
    return found


def _refusal(route: TargetRoute) -> list[str]:
    return [
        f"all symbols: {route.cross_sectional.reason}",
        *(f"{row.symbol}: {row.local.reason}" for row in route.symbols),
    ]


def _target_document(route: TargetRoute) -> dict[str, Any]:
    candidate = route.candidate
    known = candidate or next((row.candidate for row in route.symbols if row.candidate is not None), None)
    return {
        "task": known.task_type if known else None,
        "horizon_bars": known.horizon_bars if known else None,
        "rank": known.target_rank if known else None,
        "cross_sectional": {
            "state": route.cross_sectional.state,
            "route": "DISABLED" if route.cross_sectional_route == ROUTE_BLOCKED else "ENABLED",
            "training_route": route.cross_sectional_route,
            "reason": route.cross_sectional_reason,
            **_numbers(candidate),
            **_found(candidate),
            **_rest(candidate),
        },
        "symbols": {row.symbol: _symbol_document(row, route.cross_sectional) for row in route.symbols},
    }


def _symbol_document(row: SymbolRoute, pooled: Signal) -> dict[str, Any]:
    return {
        "route": row.route,
        "cs_state": pooled.state,
        "local_state": row.local.state,
        "reason": list(row.reasons),
        **_numbers(row.candidate),
        **_deviation(row.candidate),
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


def _found(candidate: Candidate | None) -> dict[str, Any]:
    """The law that the screens found; nothing where none was, or an older table does not say."""
    if candidate is None or candidate.found_by is None:
        return {}
    return {
        "found_by": candidate.found_by,
        "leading": list(candidate.leading),
        "lag_bars": candidate.lag_bars,
        "sign": candidate.sign,
        "best_model": candidate.best_model,
    }


def _rest(candidate: Candidate | None) -> dict[str, Any]:
    """What is known of the symbols with a law of their own; nothing where nobody asked."""
    if candidate is None or not candidate.deviating_symbols:
        return {}
    return {
        "deviating_symbols": list(candidate.deviating_symbols),
        "rest_z": candidate.rest_z,
        "rest_p": candidate.rest_p,
    }


def _deviation(candidate: Candidate | None) -> dict[str, Any]:
    if candidate is None or candidate.deviates is None:
        return {}
    return {
        "deviates": candidate.deviates,
        "deviation_z": candidate.deviation_z,
        "deviation_q": candidate.deviation_q,
    }
