"""From candidates to routes: one signal state per row, one route per (target, symbol), each with its numbers.

The states and routes are those of the older system; its gaps are closed: the low end of the interval is
held against the minimum (never below zero skill), a lone experimental signal stays experimental, a row that
failed the test of skill is no signal, and the share of experimental symbols is really capped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.config import RoutingConfig
from planner.tables import BLOCKED, CROSS_SECTIONAL, Candidate

STRONG, WEAK_BUT_OK, EXPERIMENTAL, DISALLOWED = "STRONG", "WEAK_BUT_OK", "EXPERIMENTAL", "DISALLOWED"
USABLE = frozenset({STRONG, WEAK_BUT_OK})

ROUTE_CROSS_SECTIONAL = "ROUTE_CROSS_SECTIONAL"
ROUTE_SYMBOL_SPECIFIC = "ROUTE_SYMBOL_SPECIFIC"
ROUTE_BOTH = "ROUTE_BOTH"
ROUTE_EXPERIMENTAL_ONLY = "ROUTE_EXPERIMENTAL_ONLY"
ROUTE_BLOCKED = "ROUTE_BLOCKED"
ROUTES = (ROUTE_CROSS_SECTIONAL, ROUTE_SYMBOL_SPECIFIC, ROUTE_BOTH, ROUTE_EXPERIMENTAL_ONLY, ROUTE_BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one candidate row is worth, and the sentence that says why."""

    state: str
    reason: str


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
    candidate: Candidate | None
    symbols: tuple[SymbolRoute, ...]


def signal_of(candidate: Candidate | None, config: RoutingConfig) -> Signal:
    """Return the state of one candidate row; first match wins.

    No row, no score, too few rows, blocked by a leak: DISALLOWED. Interval above the minimum, skill proven
    and stability allowed: STRONG from the strong score on, else WEAK_BUT_OK. A single p-value under the line
    with a shaky stability or unproven skill: EXPERIMENTAL. Otherwise DISALLOWED.
    """
    if candidate is None or candidate.score is None:
        reason = candidate.kept_reason if candidate is not None and candidate.kept_reason else "no score"
        return Signal(state=DISALLOWED, reason=reason)
    shortage = _shortage(candidate, config)
    if shortage:
        return Signal(state=DISALLOWED, reason=shortage)
    lines = _lines(candidate, config)
    described = describe(candidate)
    low = candidate.score if candidate.score_ci_low is None else candidate.score_ci_low
    allowed = candidate.stability in lines.stabilities
    if candidate.kept is not False and low >= lines.minimum and allowed:
        if candidate.score >= lines.strong:
            reason = f"{described}: low end at least {lines.minimum:g}, score at least {lines.strong:g}"
            return Signal(state=STRONG, reason=reason)
        reason = f"{described}: low end at least {lines.minimum:g}, score under {lines.strong:g}"
        return Signal(state=WEAK_BUT_OK, reason=reason)
    failed = _failure(candidate, lines, low=low, allowed=allowed)
    if _is_experimental(candidate, config, lines):
        return Signal(state=EXPERIMENTAL, reason=f"{described}: {failed}; worth an experiment")
    return Signal(state=DISALLOWED, reason=f"{described}: {failed}")


def combine(cross_sectional: str, local: str, behavior: str) -> tuple[str, str]:
    """Return the route for a pair of states and the rule that chose it, in words."""
    if cross_sectional in USABLE and local in USABLE:
        if behavior == "PREFER_CS":
            return ROUTE_CROSS_SECTIONAL, "both usable, cross-sectional preferred"
        if behavior == "PREFER_SYMBOL":
            return ROUTE_SYMBOL_SPECIFIC, "both usable, symbol-specific preferred"
        strong = cross_sectional == local == STRONG
        return ROUTE_BOTH, f"Both CS and local {'strong' if strong else 'usable'} → ROUTE_BOTH"
    if cross_sectional in USABLE:
        return ROUTE_CROSS_SECTIONAL, f"CS {cross_sectional}, local {local} → ROUTE_CROSS_SECTIONAL"
    if local in USABLE:
        return ROUTE_SYMBOL_SPECIFIC, f"CS {cross_sectional}, local {local} → ROUTE_SYMBOL_SPECIFIC"
    if EXPERIMENTAL in (cross_sectional, local):
        return ROUTE_EXPERIMENTAL_ONLY, f"CS {cross_sectional}, local {local} → ROUTE_EXPERIMENTAL_ONLY"
    return ROUTE_BLOCKED, "neither CS nor local may be trained → ROUTE_BLOCKED"


def route_target(
    target: str,
    candidates: Sequence[Candidate],
    symbols: Sequence[str],
    config: RoutingConfig,
    *,
    as_given: bool = False,
) -> TargetRoute:
    """Return the routes of one target for all `symbols` from its candidate rows.

    `as_given`: the user named the target, so it is trained whatever the tests say: through all symbols
    together (with one symbol alone, through that symbol), and the reasons keep what the tests said.
    """
    pooled = next((row for row in candidates if row.view == CROSS_SECTIONAL), None)
    by_symbol = {row.symbol: row for row in candidates if row.view != CROSS_SECTIONAL}
    signal = signal_of(pooled, config)
    routes = [_route_symbol(symbol, signal, by_symbol.get(symbol), config) for symbol in sorted(symbols)]
    routes = _capped_experiments(routes, config)
    route = {True: ROUTE_CROSS_SECTIONAL, False: ROUTE_BLOCKED}[signal.state in USABLE]
    if signal.state == EXPERIMENTAL:
        route = ROUTE_EXPERIMENTAL_ONLY
    if routes and all(row.route == ROUTE_SYMBOL_SPECIFIC for row in routes):
        route = ROUTE_BLOCKED  # every symbol has its own model and none asked for the common one
    made = TargetRoute(
        target=target,
        cross_sectional=signal,
        cross_sectional_route=route,
        candidate=pooled,
        symbols=tuple(routes),
    )
    return _as_given(made) if as_given and not _trains(made) else made


def describe(candidate: Candidate) -> str:
    """Return the row's numbers in words: metric, score, error, interval, q."""
    words = f"{candidate.metric_name or 'score'} {candidate.score:.4g}"
    if candidate.standard_error is not None:
        words += f" ± {candidate.standard_error:.2g}"
    if candidate.score_ci_low is not None and candidate.score_ci_high is not None:
        words += f" (95 % {candidate.score_ci_low:.4g} to {candidate.score_ci_high:.4g})"
    if candidate.q_value is not None:
        words += f", q {candidate.q_value:.2g}"
    return f"{words}, {candidate.stability}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    minimum: float
    strong: float
    experimental: float
    stabilities: tuple[str, ...]


def _lines(candidate: Candidate, config: RoutingConfig) -> _Lines:
    pooled = candidate.view == CROSS_SECTIONAL
    stabilities = config.cs_stabilities if pooled else config.symbol_stabilities
    if (candidate.metric_name or "").startswith("auc") or candidate.task_type in ("binary", "multiclass"):
        return _Lines(
            minimum=config.cs_min_auc if pooled else config.symbol_min_auc,
            strong=config.cs_strong_auc if pooled else config.symbol_strong_auc,
            experimental=config.experimental_min_auc,
            stabilities=stabilities,
        )
    return _Lines(
        minimum=config.cs_min_correlation if pooled else config.symbol_min_correlation,
        strong=config.cs_strong_correlation if pooled else config.symbol_strong_correlation,
        experimental=config.experimental_min_correlation,
        stabilities=stabilities,
    )


def _shortage(candidate: Candidate, config: RoutingConfig) -> str | None:
    pooled = candidate.view == CROSS_SECTIONAL
    needed = config.min_rows_cross_sectional if pooled else config.min_rows_symbol
    if candidate.sample_size < needed:
        return f"{candidate.sample_size} rows, {needed} needed"
    effective = candidate.effective_sample_size
    if effective is not None and effective < config.min_effective_rows:
        return f"{effective:.0f} effective rows, {config.min_effective_rows} needed"
    if candidate.leakage_status == BLOCKED and config.block_on_leakage:
        return f"blocked by a leak: {candidate.leakage_reason or 'no reason recorded'}"
    return None


def _failure(candidate: Candidate, lines: _Lines, *, low: float, allowed: bool) -> str:
    if candidate.kept is False:
        return candidate.kept_reason or "not kept by the ranking"
    if low < lines.minimum:
        return f"low end {low:.4g} under the minimum {lines.minimum:g}"
    return "" if allowed else f"stability {candidate.stability} not allowed"


def _is_experimental(candidate: Candidate, config: RoutingConfig, lines: _Lines) -> bool:
    """One test passed, uncorrected, on a row that the ranking did not refuse for having no recent skill."""
    probable = candidate.p_value is None or candidate.p_value <= config.experimental_max_p_value
    return (
        config.experimental_lane
        and candidate.score is not None
        and candidate.score >= lines.experimental
        and probable
        and candidate.stability in config.experimental_stabilities
    )


def _route_symbol(
    symbol: str, pooled: Signal, candidate: Candidate | None, config: RoutingConfig
) -> SymbolRoute:
    local = signal_of(candidate, config)
    route, rule = combine(pooled.state, local.state, config.both_strong_behavior)
    reasons: tuple[str, ...] = (rule, f"CS: {pooled.reason}", f"local: {local.reason}")
    if candidate is not None and candidate.pooled_score is not None and candidate.score is not None:
        note = f"on {symbol} alone its own model scores {candidate.score:.4g}, the pooled one "
        reasons = (*reasons, f"{note}{candidate.pooled_score:.4g}")
    return SymbolRoute(symbol=symbol, route=route, local=local, candidate=candidate, reasons=reasons)


def _capped_experiments(routes: Sequence[SymbolRoute], config: RoutingConfig) -> list[SymbolRoute]:
    """Keep the best-scored experiments of a target, at most the configured share of its symbols."""
    room = math.ceil(config.experimental_max_symbol_share * len(routes))
    trying = [
        row for row in routes if row.route == ROUTE_EXPERIMENTAL_ONLY and row.local.state == EXPERIMENTAL
    ]
    best = sorted(trying, key=lambda row: (-_score(row), row.symbol))[:room]
    kept = {row.symbol for row in best}
    full = f"experimental lane full: {room} of {len(routes)} symbols"
    return [
        SymbolRoute(
            symbol=row.symbol,
            route=ROUTE_BLOCKED,
            local=row.local,
            candidate=row.candidate,
            reasons=(full, *row.reasons),
        )
        if row in trying and row.symbol not in kept
        else row
        for row in routes
    ]


def _score(row: SymbolRoute) -> float:
    return row.candidate.score or 0.0 if row.candidate is not None else 0.0


def _trains(route: TargetRoute) -> bool:
    return route.cross_sectional_route != ROUTE_BLOCKED or any(
        row.route != ROUTE_BLOCKED for row in route.symbols
    )


def _as_given(route: TargetRoute) -> TargetRoute:
    note = "named by the user, trained whatever the tests say"
    alone = len(route.symbols) == 1
    symbols = [
        SymbolRoute(
            symbol=row.symbol,
            route=ROUTE_SYMBOL_SPECIFIC if alone else ROUTE_CROSS_SECTIONAL,
            local=row.local,
            candidate=row.candidate,
            reasons=(note, *row.reasons),
        )
        for row in route.symbols
    ]
    return TargetRoute(
        target=route.target,
        cross_sectional=Signal(
            state=route.cross_sectional.state, reason=f"{note}; {route.cross_sectional.reason}"
        ),
        cross_sectional_route=ROUTE_BLOCKED if alone else ROUTE_CROSS_SECTIONAL,
        candidate=route.candidate,
        symbols=tuple(symbols),
    )


def route_counts(routes: Sequence[TargetRoute]) -> Mapping[str, int]:
    """Return how many (target, symbol) pairs took each route; every route is present."""
    taken = [row.route for route in routes for row in route.symbols]
    return {route: taken.count(route) for route in ROUTES}
