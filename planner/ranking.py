"""Judging the measured skill: which targets can be predicted at all, in which view, and which come first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from panel.aligned import Column
from panel.metrics import no_skill
from planner.closing import best_model
from planner.config import RankingConfig
from planner.rounding import rounded
from planner.shift_null import hierarchical_q_values
from planner.skill import Measured, Skill
from planner.tables import CROSS_SECTIONAL, RankedRow

_STILL_THERE_Z = 2.0  # a newest window with so clear a skill is weaker, not dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All judged rows (best target first, then by name) and the targets chosen, best first.

    `deviation_q`: (target, symbol) -> q-value of "this symbol has a law of its own", where that was tested.
    """

    rows: tuple[RankedRow, ...]
    selected: tuple[str, ...]
    deviation_q: Mapping[tuple[str, str | None], float]


def rank_targets(
    measured: Sequence[Measured],
    columns: Sequence[Column],
    config: RankingConfig,
    *,
    top: int,
    as_given: bool = False,
) -> Ranking:
    """Judge every (target, view, symbol), rank the targets, choose the best `top` of those kept.

    A row is kept when its q-value (targets first, then the views of a target) is within the false discovery
    rate, models confirm it (the low end of the out-of-sample interval lies above no skill), and the skill is
    still there in the last fold and in every newest part of the time. A symbol's row without a law of its
    own is dropped as well when the common law died. A target is kept with any of its rows and ranked by the
    best low end among them. `columns` gives each target's record, with those left out by the panel.
    `as_given` chooses every measured target whatever its verdict.
    """
    by_name = {column.name: column for column in columns}
    cells = [cell for target in measured for cell in target.cells]
    families = [
        [np.nan if cell.p_value is None else cell.p_value for cell in target.cells] for target in measured
    ]
    q_values = [q for family in hierarchical_q_values(families, config.false_discovery_rate) for q in family]
    deviation_q = _deviation_q_values(measured, config)
    own_laws = {key for key, q in deviation_q.items() if q <= config.false_discovery_rate}
    deaths = _pooled_deaths(measured, config)
    rows = [
        _judged(
            cell,
            by_name[cell.target],
            None if np.isnan(q) else rounded(q),
            config,
            None if (cell.target, cell.symbol) in own_laws else deaths.get(cell.target),
        )
        for cell, q in zip(cells, q_values, strict=True)
    ]
    order = _ranked_targets(rows)
    names = sorted(target.target for target in measured)
    if as_given:
        selected = sorted(names, key=lambda name: (order.get(name, len(names) + 1), name))
    else:
        selected = list(order)[:top]
    chosen = set(selected)
    rows = [replace(row, rank=order.get(row.target), selected=row.target in chosen) for row in rows]
    rows += [_left_out(column) for column in columns if column.role != "target"]
    rows.sort(key=lambda row: (row.rank or len(rows) + 1, row.target, row.view, row.symbol or ""))
    return Ranking(rows=tuple(rows), selected=tuple(selected), deviation_q=deviation_q)


def drop_reasons(rows: Iterable[RankedRow]) -> dict[str, list[str]]:
    """Return, for each target that was not selected, its reasons: one for all symbols and each symbol."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.selected:
            continue
        reasons = found.setdefault(row.target, [])
        if row.rank is not None and not reasons:
            reasons.append(f"rank {row.rank} lies beyond the number of targets asked for")
        reasons.append(f"{row.symbol or 'all symbols'}: {row.reason}")
    return found


def somers_d(value: float, metric: str) -> float:
    """Return a score above no skill on one scale: rank correlations as they are, AUC doubled (Somers' D)."""
    above = value - no_skill(metric)
    return 2.0 * above if metric.startswith("auc") else above


def _ranked_targets(rows: Sequence[RankedRow]) -> dict[str, int]:
    best: dict[str, float] = {}
    for row in rows:
        if row.kept and row.score_ci_low is not None:
            low = somers_d(row.score_ci_low, row.metric_name or "")
            best[row.target] = max(low, best.get(row.target, low))
    ordered = sorted(best, key=lambda target: (-best[target], target))
    return {target: place for place, target in enumerate(ordered, start=1)}


def _pooled_deaths(measured: Sequence[Measured], config: RankingConfig) -> dict[str, str]:
    """Say for each target whose common law was found and died where its skill is gone."""
    found = {}
    for target in measured:
        for cell in target.cells:
            known = cell.view == CROSS_SECTIONAL and cell.low is not None and cell.p_value is not None
            none = no_skill(cell.metric or "")
            if known and (cell.p_value or 0.0) <= config.false_discovery_rate and (cell.low or 0.0) > none:
                death = _dead_window(cell, none, config)
                if death is not None:
                    found[target.target] = death
    return found


def _judged(
    cell: Skill, column: Column, q_value: float | None, config: RankingConfig, common_death: str | None
) -> RankedRow:
    kept, reason = _verdict(cell, q_value, config)
    if kept and cell.symbol is not None and common_death is not None:
        kept = False
        reason = (
            f"dropped: {cell.metric} {cell.score:.4g}; {law_in_words(cell)}, but no law of its own, and of "
            f"the common one {common_death}"
        )
    metric = cell.metric or ""
    return RankedRow(
        target=cell.target,
        view=cell.view,
        symbol=cell.symbol,
        rank=None,
        selected=False,
        kept=kept,
        reason=reason,
        task_type=column.task,
        horizon_bars=column.horizon_bars,
        metric_name=cell.metric,
        score=cell.score,
        standard_error=cell.standard_error,
        score_ci_low=cell.low,
        score_ci_high=cell.high,
        skill=None if cell.score is None else rounded(somers_d(cell.score, metric)),
        z=cell.z,
        p_value=cell.p_value,
        q_value=q_value,
        tests=cell.tests,
        found_by=cell.found_by,
        leading=cell.leading,
        sign=cell.sign,
        lag_bars=cell.bars,
        best_model=best_model(cell),
        linear_score=cell.linear,
        boosted_score=cell.boosted,
        folds=len(cell.folds),
        recent_scores=tuple(recent.score for recent in cell.recent),
        last_fold_score=cell.folds[-1].score if cell.folds else None,
        fold_scores=tuple(fold.score for fold in cell.folds),
        persistence_score=cell.persistence,
        rows=cell.rows,
        scored_rows=cell.scored_rows,
        effective_rows=cell.effective_rows,
        coverage=cell.coverage,
    )


def _verdict(cell: Skill, q_value: float | None, config: RankingConfig) -> tuple[bool, str]:
    if cell.reason is not None or cell.score is None or cell.low is None:
        return False, f"dropped: {cell.reason or 'not measured'}"
    metric = cell.metric or ""
    none = no_skill(metric)
    numbers = f"{metric} {cell.score:.4g} (95 % {cell.low:.4g} to {cell.high:.4g})"
    if q_value is None:
        return False, f"dropped: {numbers}, but no feature could be screened"
    found = f"{law_in_words(cell)}, q {q_value:.2g}"
    line = config.false_discovery_rate
    if q_value > line:
        return False, (
            f"dropped: {numbers}; {found} above {line:g}: the best of {cell.tests} screens is luck's size"
        )
    if cell.low <= none:
        return False, f"dropped: {numbers}; {found}, but models reach no skill ({none:g}) out of sample"
    dead = _dead_window(cell, none, config)
    if dead is not None:
        return False, f"dropped: {numbers}; {found}, but {dead}"
    return True, f"kept: {numbers}; {found} within {line:g}, last fold {cell.folds[-1].score:.4g}"


def law_in_words(cell: Skill) -> str:
    """Say what the screens found: features, relation, age of the value, and how clear it is."""
    if cell.found_by is None or cell.z is None:
        return "nothing was screened"
    names = " x ".join(cell.leading[:2]) if cell.found_by == "product" else ", ".join(cell.leading[:3])
    how = {"rank": "", "folded": "size of ", "product": "product of ", "lag": "past of "}[cell.found_by]
    age = f" ({cell.bars} bars)" if cell.bars is not None else ""
    return f"{how}{names}{age}: z {cell.z:+.1f}"


def _dead_window(cell: Skill, none: float, config: RankingConfig) -> str | None:
    """Say in which newest part of the time the skill is gone, if it is: far below what was there before."""
    overall = (cell.score or 0.0) - none
    if cell.folds[-1].score <= none:
        return f"the last fold has no skill left ({cell.folds[-1].score:.4g})"
    for recent in cell.recent:
        left, older = recent.score - none, 1.0 - recent.share
        before = (overall - recent.share * left) / older
        error = recent.standard_error / older**0.5  # of the difference to the time before the window
        fallen = left < config.min_recent_share * before and before - left > config.recent_z * error
        if fallen and left < _STILL_THERE_Z * recent.standard_error:
            return (
                f"the skill is gone in the newest {recent.share:.0%} of the time: {recent.score:.4g} ± "
                f"{recent.standard_error:.2g} after {before + none:.4g}"
            )
    return None


def _deviation_q_values(
    measured: Sequence[Measured], config: RankingConfig
) -> dict[tuple[str, str | None], float]:
    """Return the q-value of "this symbol has a law of its own" for each (target, symbol) that was tested."""
    families = [
        [np.nan if cell.deviation_p is None else cell.deviation_p for cell in target.cells]
        for target in measured
    ]
    found = {}
    q_values = hierarchical_q_values(families, config.false_discovery_rate)
    for target, of_target in zip(measured, q_values, strict=True):
        for cell, q in zip(target.cells, of_target, strict=True):
            if not np.isnan(q):
                found[cell.target, cell.symbol] = rounded(q)
    return found


def _left_out(column: Column) -> RankedRow:
    return RankedRow(
        target=column.name,
        view=CROSS_SECTIONAL,
        symbol=None,
        rank=None,
        selected=False,
        kept=False,
        reason=f"left out: {column.reason or 'no reason recorded'}",
        task_type=column.task,
        horizon_bars=column.horizon_bars,
        metric_name=None,
        score=None,
        standard_error=None,
        score_ci_low=None,
        score_ci_high=None,
        skill=None,
        z=None,
        p_value=None,
        q_value=None,
        tests=0,
        found_by=None,
        leading=(),
        sign=None,
        lag_bars=None,
        best_model=None,
        linear_score=None,
        boosted_score=None,
        folds=0,
        recent_scores=(),
        last_fold_score=None,
        fold_scores=(),
        persistence_score=None,
        rows=0,
        scored_rows=0,
        effective_rows=0.0,
        coverage=None,
    )
