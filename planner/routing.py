"""From candidates to routes: one route per (target, symbol), each with its rule and its numbers.

The routes are those of the older system; its gaps are closed: a lone experimental signal stays experimental
and never becomes a full job, the share of experimental symbols is really capped, and a symbol gets a model of
its own beside the common one only where its law differs from that of the others.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from planner.config import RoutingConfig
from planner.signals import DISALLOWED, EXPERIMENTAL, STRONG, USABLE, Signal, signal_of
from planner.tables import CROSS_SECTIONAL, Candidate

ROUTE_CROSS_SECTIONAL = "ROUTE_CROSS_SECTIONAL"
ROUTE_SYMBOL_SPECIFIC = "ROUTE_SYMBOL_SPECIFIC"
ROUTE_BOTH = "ROUTE_BOTH"
ROUTE_EXPERIMENTAL_ONLY = "ROUTE_EXPERIMENTAL_ONLY"
ROUTE_BLOCKED = "ROUTE_BLOCKED"
ROUTES = (ROUTE_CROSS_SECTIONAL, ROUTE_SYMBOL_SPECIFIC, ROUTE_BOTH, ROUTE_EXPERIMENTAL_ONLY, ROUTE_BLOCKED)

FEWEST_SYMBOLS = 2  # fewer have nothing to pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRoute:
    """The route of one symbol for one target."""

    symbol: str
    route: str
    local: Signal
    candidate: Candidate | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRoute:
    """The routes of one target: the all-symbols switch, and one route per symbol."""

    target: str
    cross_sectional: Signal
    cross_sectional_route: str  # ROUTE_CROSS_SECTIONAL, ROUTE_EXPERIMENTAL_ONLY or ROUTE_BLOCKED
    cross_sectional_reason: str
    candidate: Candidate | None
    symbols: tuple[SymbolRoute, ...]


def combine(
    cross_sectional: str, local: str, behavior: str, *, deviates: bool | None = None
) -> tuple[str, str]:
    """Return the route for a pair of states and the rule that chose it, in words.

    `deviates` False: the symbol's law is the common one, so two usable states need the common model
    only. True, or None where nobody knows: `behavior` decides.
    """
    if cross_sectional in USABLE and local in USABLE:
        if deviates is False:
            return ROUTE_CROSS_SECTIONAL, "both usable, one law for all → ROUTE_CROSS_SECTIONAL"
        if behavior == "PREFER_CS":
            return ROUTE_CROSS_SECTIONAL, "both usable, cross-sectional preferred → ROUTE_CROSS_SECTIONAL"
        if behavior == "PREFER_SYMBOL":
            return ROUTE_SYMBOL_SPECIFIC, "both usable, symbol-specific preferred → ROUTE_SYMBOL_SPECIFIC"
        if cross_sectional == local == STRONG:
            return ROUTE_BOTH, "Both CS and local strong → ROUTE_BOTH"
        return ROUTE_BOTH, "Both CS and local usable → ROUTE_BOTH"
    if cross_sectional in USABLE:
        route = ROUTE_CROSS_SECTIONAL
    elif local in USABLE:
        route = ROUTE_SYMBOL_SPECIFIC
    elif EXPERIMENTAL in (cross_sectional, local):
        route = ROUTE_EXPERIMENTAL_ONLY
    else:
        return ROUTE_BLOCKED, "neither CS nor local may be trained → ROUTE_BLOCKED"
    return route, f"CS {cross_sectional}, local {local} → {route}"


def route_target(
    target: str,
    candidates: Sequence[Candidate],
    symbols: Iterable[str],
    config: RoutingConfig,
    *,
    as_given: bool = False,
) -> TargetRoute:
    """Return the routes of one target for all `symbols` from its candidate rows.

    `as_given`: the user named the target, so it is trained whatever the tests say: through all symbols
    together (with one symbol alone, through that symbol), and the reasons keep what the tests said.
    """
    names = sorted(set(symbols))
    pooled = next((row for row in candidates if row.view == CROSS_SECTIONAL), None)
    by_symbol = {row.symbol: row for row in candidates if row.view != CROSS_SECTIONAL}
    signal = signal_of(pooled, config)
    if len(names) < FEWEST_SYMBOLS:
        reason = f"{len(names)} symbol, {FEWEST_SYMBOLS} needed to pool"
        signal = Signal(state=DISALLOWED, reason=reason)
    routes = [_route_symbol(symbol, signal, by_symbol.get(symbol), config) for symbol in names]
    routes = _capped_experiments(routes, signal, config)
    route, reason = _switch(signal, routes)
    made = TargetRoute(
        target=target,
        cross_sectional=signal,
        cross_sectional_route=route,
        cross_sectional_reason=reason,
        candidate=pooled,
        symbols=tuple(routes),
    )
    return _as_given(made) if as_given and not trains(made) else made


def trains(route: TargetRoute) -> bool:
    """Return whether anything at all is trained for the target."""
    return route.cross_sectional_route != ROUTE_BLOCKED or any(
        row.route != ROUTE_BLOCKED for row in route.symbols
    )


def route_counts(routes: Sequence[TargetRoute]) -> Mapping[str, int]:
    """Return how many (target, symbol) pairs took each route; every route is present."""
    taken = Counter(row.route for route in routes for row in route.symbols)
    return {route: taken[route] for route in ROUTES}


def _route_symbol(
    symbol: str, pooled: Signal, candidate: Candidate | None, config: RoutingConfig
) -> SymbolRoute:
    local = signal_of(candidate, config)
    deviates = candidate.deviates if candidate is not None and config.require_deviation else None
    route, rule = combine(pooled.state, local.state, config.both_strong_behavior, deviates=deviates)
    reasons: tuple[str, ...] = (rule, f"CS: {pooled.reason}", f"local: {local.reason}")
    if candidate is not None and candidate.score is not None:
        if candidate.deviates is not None:
            reasons = (*reasons, _law(candidate))
        if candidate.pooled_score is not None:
            note = f"on {symbol} alone its own model scores {candidate.score:.3g}, the pooled one "
            reasons = (*reasons, f"{note}{candidate.pooled_score:.3g}")
    return SymbolRoute(symbol=symbol, route=route, local=local, candidate=candidate, reasons=reasons)


def _law(candidate: Candidate) -> str:
    """Whose law the symbol follows, with the numbers of the test."""
    numbers = [
        f"{name} {value:.2g}"
        for name, value in (("z", candidate.deviation_z), ("q", candidate.deviation_q))
        if value is not None
    ]
    told = f": deviation {', '.join(numbers)}" if numbers else ""
    return f"its law is {'its own' if candidate.deviates else 'the common one'}{told}"


def _switch(signal: Signal, routes: Sequence[SymbolRoute]) -> tuple[str, str]:
    """The route of the common model, and why it is trained or not."""
    if routes and all(row.route == ROUTE_SYMBOL_SPECIFIC for row in routes) and signal.state != DISALLOWED:
        return ROUTE_BLOCKED, f"CS training disabled: every symbol has its own model; {signal.reason}"
    if signal.state in USABLE:
        return ROUTE_CROSS_SECTIONAL, f"CS training enabled: {signal.reason}"
    if signal.state == EXPERIMENTAL:
        return ROUTE_EXPERIMENTAL_ONLY, f"CS training enabled as an experiment: {signal.reason}"
    return ROUTE_BLOCKED, f"CS training disabled: {signal.reason}"


def _capped_experiments(
    routes: list[SymbolRoute], pooled: Signal, config: RoutingConfig
) -> list[SymbolRoute]:
    """Keep the best-scored experiments of a target: the configured share of its symbols, at least one.

    The others are routed as if they had no signal of their own.
    """
    trying = [
        row for row in routes if row.route == ROUTE_EXPERIMENTAL_ONLY and row.local.state == EXPERIMENTAL
    ]
    share = config.experimental_max_symbol_share
    room = max(1, int(share * len(routes) + 1e-9)) if share > 0 else 0
    if len(trying) <= room:
        return routes
    best = sorted(trying, key=lambda row: (-_score(row), row.symbol))[:room]
    kept = {row.symbol for row in best}
    full = {row.symbol for row in trying} - kept
    note = f"experimental lane full: {room} of {len(routes)} symbols, those with higher scores"
    return [_without_lane(row, pooled, note) if row.symbol in full else row for row in routes]


def _without_lane(row: SymbolRoute, pooled: Signal, note: str) -> SymbolRoute:
    route, _ = combine(pooled.state, DISALLOWED, "ROUTE_BOTH")
    local = Signal(state=DISALLOWED, reason=f"{note}; {row.local.reason}")
    return dataclasses.replace(row, route=route, local=local, reasons=(f"{note} → {route}", *row.reasons[1:]))


def _score(row: SymbolRoute) -> float:
    return row.candidate.score or 0.0 if row.candidate is not None else 0.0


def _as_given(route: TargetRoute) -> TargetRoute:
    note = "named by the user, trained whatever the tests say"
    alone = len(route.symbols) == 1
    taken = ROUTE_SYMBOL_SPECIFIC if alone else ROUTE_CROSS_SECTIONAL
    said = "disabled" if alone else "enabled"
    return dataclasses.replace(
        route,
        cross_sectional=Signal(
            state=route.cross_sectional.state, reason=f"{note}; {route.cross_sectional.reason}"
        ),
        cross_sectional_route=ROUTE_BLOCKED if alone else ROUTE_CROSS_SECTIONAL,
        cross_sectional_reason=f"CS training {said}: {note}; {route.cross_sectional.reason}",
        symbols=tuple(
            dataclasses.replace(row, route=taken, reasons=(f"{note} → {taken}", *row.reasons[1:]))
            for row in route.symbols
        ),
    )
