"""What one candidate row is worth: a state and the sentence that says why, with its numbers.

The states are those of the older system, its gaps closed: the low end of the interval is held against the
minimum, no minimum lies below zero skill, rows count by what is independent in them, the status of the
features decides, and the skill of all symbols together must not be that of a few of them.
"""

import functools
from dataclasses import dataclass

from planner.config import RoutingConfig
from planner.tables import BLOCKED, CROSS_SECTIONAL, SUSPECT, Candidate

STRONG, WEAK_BUT_OK, EXPERIMENTAL, DISALLOWED = "STRONG", "WEAK_BUT_OK", "EXPERIMENTAL", "DISALLOWED"
USABLE = frozenset({STRONG, WEAK_BUT_OK})

_NAMED = 5  # symbols that a sentence names before it counts the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one candidate row is worth, and the sentence that says why."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines one kind of row is held against; scores in the row's own metric."""

    rows: int
    minimum: float
    strong: float
    experimental: float
    stabilities: tuple[str, ...]


def signal_of(candidate: Candidate | None, config: RoutingConfig) -> Signal:
    """Return the state of one candidate row; first match wins.

    No row, no score, too few rows, features that may not be used, skill of the deviating symbols alone:
    DISALLOWED. Interval above the minimum, skill proven and stability allowed: STRONG from the strong score
    on, else WEAK_BUT_OK. A single p-value under the line with a shaky stability or unproven skill:
    EXPERIMENTAL. Otherwise DISALLOWED.
    """
    if candidate is None:
        return _NOT_MEASURED
    if candidate.score is None:
        return Signal(state=DISALLOWED, reason=candidate.kept_reason or "it has no score")
    lines = lines_of(candidate, config)
    refusal = _refusal(candidate, lines, config)
    if refusal:
        return Signal(state=DISALLOWED, reason=refusal)
    low = candidate.score if candidate.score_ci_low is None else candidate.score_ci_low
    allowed = candidate.stability in lines.stabilities
    if candidate.kept is not False and low >= lines.minimum and allowed:
        return _usable(candidate, lines)
    failed = _failure(candidate, lines, low=low, allowed=allowed)
    if _is_experimental(candidate, config, lines):
        return Signal(state=EXPERIMENTAL, reason=f"{failed}; worth an experiment")
    return Signal(state=DISALLOWED, reason=failed)


def describe(candidate: Candidate) -> str:
    """Return the row's numbers in words: metric, score, its interval or error, q, stability."""
    words = f"{candidate.metric_name or 'score'} {candidate.score:.3g}"
    if candidate.score_ci_low is not None and candidate.score_ci_high is not None:
        words += f" (95 % {candidate.score_ci_low:.3g} to {candidate.score_ci_high:.3g})"
    elif candidate.standard_error is not None:
        words += f" ± {candidate.standard_error:.2g}"
    if candidate.q_value is not None:
        words += f", q {candidate.q_value:.2g}"
    return f"{words}, {candidate.stability}"


def named(symbols: tuple[str, ...]) -> str:
    """Return the symbols in words, the first few by name and the rest counted."""
    words = ", ".join(symbols[:_NAMED])
    rest = len(symbols) - _NAMED
    return f"{words} and {rest} more" if rest > 0 else words


def lines_of(candidate: Candidate, config: RoutingConfig) -> Lines:
    """Return the lines of a row: of its view, and of its metric (AUC, or a correlation)."""
    classes = candidate.task_type in ("binary", "multiclass") or (candidate.metric_name or "").startswith(
        "auc"
    )
    return _all_lines(config)[candidate.view == CROSS_SECTIONAL, classes]


@functools.lru_cache(maxsize=8)
def _all_lines(config: RoutingConfig) -> dict[tuple[bool, bool], Lines]:
    """The four sets of lines, `min_score` in them; an AUC counts double above one half."""
    found = {}
    for pooled in (True, False):
        view = "cs" if pooled else "symbol"
        for classes in (True, False):
            metric = "auc" if classes else "correlation"
            floor = 0.5 + config.min_score / 2 if classes else config.min_score
            minimum = max(floor, getattr(config, f"{view}_min_{metric}"))
            found[pooled, classes] = Lines(
                rows=config.min_rows_cross_sectional if pooled else config.min_rows_symbol,
                minimum=minimum,
                strong=max(minimum, getattr(config, f"{view}_strong_{metric}")),
                experimental=max(floor, getattr(config, f"experimental_min_{metric}")),
                stabilities=config.cs_stabilities if pooled else config.symbol_stabilities,
            )
    return found


_NOT_MEASURED = Signal(state=DISALLOWED, reason="not measured: it has no candidate row")


def _refusal(candidate: Candidate, lines: Lines, config: RoutingConfig) -> str | None:
    """What rules a row out before its score is looked at, in words; None when nothing does."""
    if candidate.sample_size < lines.rows:
        return f"{candidate.sample_size} rows, {lines.rows} needed"
    effective = candidate.effective_sample_size
    if effective is not None and effective < config.min_effective_rows:
        return (
            f"{effective:.0f} effective rows of {candidate.sample_size}, {config.min_effective_rows} needed"
        )
    status = candidate.leakage_status
    if status == BLOCKED and config.block_on_leakage:
        return f"blocked by a leak: {candidate.leakage_reason or 'no reason recorded'}"
    if config.require_safe_features_only and status not in config.allowed_feature_leakage_status:
        allowed = ", ".join(config.allowed_feature_leakage_status)
        why = f" ({candidate.leakage_reason})" if candidate.leakage_reason else ""
        return f"its features are {status}{why}, only {allowed} allowed"
    if candidate.rest_p is not None and candidate.rest_p > config.max_rest_p_value:
        return _skill_of_a_few(candidate, config)
    return None


def _skill_of_a_few(candidate: Candidate, config: RoutingConfig) -> str | None:
    """Say whose the skill is when it is gone without the deviating symbols."""
    if not candidate.deviating_symbols:
        return None
    z_value = "" if candidate.rest_z is None else f"z {candidate.rest_z:.2g}, "
    return (
        f"the skill is of {named(candidate.deviating_symbols)} alone: without them {z_value}"
        f"p {candidate.rest_p:.2g}, at most {config.max_rest_p_value:g} allowed"
    )


def _usable(candidate: Candidate, lines: Lines) -> Signal:
    is_strong = candidate.score is not None and candidate.score >= lines.strong
    state, sign = (STRONG, "≥") if is_strong else (WEAK_BUT_OK, "<")
    word = "strong" if is_strong else "usable"
    reason = f"{describe(candidate)}: {word} (low end ≥ {lines.minimum:g}, score {sign} {lines.strong:g})"
    if candidate.leakage_status == SUSPECT:
        reason += f"; suspect features are among those used: {candidate.leakage_reason or 'not named'}"
    return Signal(state=state, reason=reason)


def _failure(candidate: Candidate, lines: Lines, *, low: float, allowed: bool) -> str:
    if candidate.kept is False:
        reason = candidate.kept_reason or "not kept by the ranking"
        return reason if (candidate.metric_name or "score") in reason else f"{describe(candidate)}: {reason}"
    if low < lines.minimum:
        return f"{describe(candidate)}: low end {low:.3g} under the minimum {lines.minimum:g}"
    if not allowed:
        words = " or ".join(lines.stabilities)
        return f"{describe(candidate)}: stability {candidate.stability}, {words} needed"
    return describe(candidate)


def _is_experimental(candidate: Candidate, config: RoutingConfig, lines: Lines) -> bool:
    """One test passed, uncorrected, on a row that the ranking did not refuse for having no recent skill."""
    probable = candidate.p_value is None or candidate.p_value <= config.experimental_max_p_value
    return (
        config.experimental_lane
        and candidate.score is not None
        and candidate.score >= lines.experimental
        and probable
        and candidate.stability in config.experimental_stabilities
    )
