"""The rows of the four METRICS tables; plain values only, a missing number is None, never NaN.

The fields are the columns, in order; planner/schemas/<table>.schema.json says the same for other readers.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CROSS_SECTIONAL = "CROSS_SECTIONAL"
SYMBOL_SPECIFIC = "SYMBOL_SPECIFIC"

SAFE, SUSPECT, BLOCKED, UNKNOWN = "SAFE", "SUSPECT", "BLOCKED", "UNKNOWN"
STABLE, DRIFTING, DIVERGED = "STABLE", "DRIFTING", "DIVERGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRow:
    """One (target, view, symbol) of target_ranking: measured and judged, or left out with a reason."""

    target: str
    view: str
    symbol: str | None
    rank: int | None  # 1 is best; the same for all rows of a target; None when not kept
    selected: bool  # goes on to feature selection
    kept: bool  # passed every test of skill
    reason: str
    task_type: str | None
    horizon_bars: int | None
    metric_name: str | None
    score: float | None
    standard_error: float | None
    score_ci_low: float | None
    score_ci_high: float | None
    skill: float | None  # score above no skill; AUC doubled, so that all metrics share one scale
    z: float | None  # of the strongest screen, studentised by the circular-shift null
    p_value: float | None  # corrected for all `tests` of its screens
    q_value: float | None
    tests: int
    found_by: str | None  # the strongest screen: rank | folded | product | lag
    leading: tuple[str, ...]  # the features it found, strongest first
    sign: int | None  # of the first one's relation to the target
    lag_bars: int | None  # age of the leading value, or the bars it sums
    best_model: str | None  # linear | boosted
    linear_score: float | None
    boosted_score: float | None
    folds: int
    recent_scores: tuple[float, ...]  # of the newest 1/8 to 3/8 of the scored time
    last_fold_score: float | None
    fold_scores: tuple[float, ...]
    persistence_score: float | None  # of the newest label already known
    rows: int  # with a label, before the final segment
    scored_rows: int  # of them predicted out of sample
    effective_rows: float
    coverage: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakRow:
    """One (target, feature) of leakage: the verdict, the probe that decided, and what it measured."""

    target: str
    feature: str
    verdict: str  # SAFE | SUSPECT | BLOCKED
    probe: str | None  # None when SAFE
    evidence: str
    copy_correlation: float | None
    increment: float | None
    increment_bars: int | None
    part: float | None = None  # with what the first coming bars bring, of labels that are sums
    part_bars: int | None = None
    overlap: float | None = None  # with the target moved by fewer bars than its horizon
    overlap_bars: int | None = None
    correlation: float | None
    past_correlation: float | None
    out_of_sample: float | None = None  # with the coming window, by the sign that earlier times had
    ratio_spike: float | None
    slope_spike: float | None = None  # of the changes: copies shifted or scaled in some of the rows
    noise_line: float | None  # what chance reaches in correlation
    effective_rows: float | None = None  # independent rows against the whole window
    symbol: str | None  # the symbol where it was found, None for all together


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRow:
    """One (target, symbol or all, feature) of feature_selection."""

    target: str
    view: str
    symbol: str | None
    feature: str
    selected: bool
    position: int | None  # 1 is the most important of the selected
    reason: str
    frequency: float  # share of the training folds that chose it or a twin of it: its stability
    importance: float  # mean share of all methods below, summing to 1 in each fold
    correlation_z: float | None  # of feature and target, mean over the folds' training rows
    ridge_importance: float | None  # share of the coefficients of standardised features
    boosting_importance: float | None  # share of the gain
    permutation_importance: float | None  # score lost out of sample when it is shuffled in time
    information: float | None  # mutual information with the target in nats, training rows
    folds: int
    fold_features: int | None  # how many each fold chose, by the path of sizes
    jaccard: float | None  # overlap of what two folds chose, mean over all pairs; same for the whole cell
    tau: float | None  # Kendall's, of the importance of what they chose; same for the whole cell
    leakage_verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One (target, view, symbol) of routing_candidates: all that routing looks at."""

    target: str
    view: str
    symbol: str | None
    mode: str  # same as view; the older name
    score: float | None
    score_ci_low: float | None
    score_ci_high: float | None
    standard_error: float | None = None
    metric_name: str | None = None
    z: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    kept: bool | None = None
    kept_reason: str | None = None
    last_fold_score: float | None = None
    pooled_score: float | None = None  # of the all-symbols model on this symbol's rows
    found_by: str | None = None  # the screen that found it: rank | folded | product | lag
    leading: tuple[str, ...] = ()  # the features that screen found, strongest first
    lag_bars: int | None = None
    sign: int | None = None  # of the leading feature's relation to the target
    best_model: str | None = None  # linear | boosted
    folds: int | None = None
    coverage: float | None = None
    deviating_symbols: tuple[str, ...] = ()  # symbols with a law of their own; rows of all symbols only
    rest_z: float | None = None  # the screen of all symbols without the deviating ones
    rest_p: float | None = None
    deviates: bool | None = None  # the symbol's law differs from that of the rest; symbol rows only
    deviation_z: float | None = None
    deviation_q: float | None = None
    stability: str = UNKNOWN
    mean_overlap: float | None = None
    std_overlap: float | None = None
    mean_tau: float | None = None
    std_tau: float | None = None
    n_snapshots: int = 0
    sample_size: int = 0
    effective_sample_size: float | None = None
    leakage_status: str = UNKNOWN
    leakage_reason: str | None = None
    blocked_features: tuple[str, ...] = ()
    feature_set_id: str | None = None
    features: tuple[str, ...] = ()
    task_type: str | None = None
    horizon_bars: int | None = None
    target_rank: int | None = None
    model_status: str = UNKNOWN
    failed_model_families: tuple[str, ...] = ()
    panel_key: str | None = None
    config_hash: str | None = None
    code_version: str | None = None
    seed: int | None = None


Row = RankedRow | LeakRow | SelectionRow | Candidate

_COLUMNS: Mapping[type, tuple[str, ...]] = {  # once: a plan has tens of thousands of rows
    kind: tuple(item.name for item in dataclasses.fields(kind))
    for kind in (RankedRow, LeakRow, SelectionRow, Candidate)
}


def plain_row(row: Row) -> dict[str, Any]:
    """Return a row as a dict of JSON values (tuples become lists)."""
    values = ((name, getattr(row, name)) for name in _COLUMNS[type(row)])
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def candidate_from(record: Mapping[str, Any]) -> Candidate:
    """Return a candidate from a table row, of this version or an older one; unknown columns are passed over.

    A missing `view` is taken from `mode`; a row that has neither is symbol-specific when it names a symbol.

    Raises:
        KeyError: the row names no target.
    """
    known = {item.name: item for item in dataclasses.fields(Candidate)}
    values = {name: _cleaned(value) for name, value in record.items() if name in known}
    symbol = values.get("symbol")
    by_symbol = SYMBOL_SPECIFIC if symbol else CROSS_SECTIONAL
    view = values.get("view") or values.get("mode") or by_symbol
    for name in ("score", "score_ci_low", "score_ci_high"):
        values.setdefault(name, None)
    for name, item in known.items():
        if values.get(name) is None and item.default is not dataclasses.MISSING:
            values[name] = item.default
    values.update(target=record["target"], view=view, mode=view, symbol=symbol or None)
    return Candidate(**values)


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - a table cell may hold anything
    if isinstance(value, float) and math.isnan(value):  # NaN of a CSV or of pandas
        return None
    if isinstance(value, list):
        return tuple(value)
    return value
