"""Candidates for routing: ranking, stability, leaks and features of a (target, view, symbol) in one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.cache import fingerprint
from planner.config import RoutingConfig
from planner.ranking import Ranking
from planner.skill import Measured, Skill
from planner.stability import Stability, stability_of
from planner.tables import (
    BLOCKED,
    CROSS_SECTIONAL,
    SAFE,
    SUSPECT,
    Candidate,
    LeakRow,
    RankedRow,
    SelectionRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the numbers come from; written into every row."""

    panel_key: str
    config_hash: str
    code_version: str
    seed: int


def make_candidates(
    measured: Sequence[Measured],
    ranking: Ranking,
    selections: Sequence[SelectionRow],
    leaks: Sequence[LeakRow],
    unusable: Mapping[str, Sequence[str]],
    config: RoutingConfig,
    provenance: Provenance,
    *,
    own_law_rate: float,
) -> list[Candidate]:
    """Return one candidate per (target, view, symbol) of the measured targets, by name.

    A symbol deviates when its q-value in `ranking.deviation_q` is at most `own_law_rate`.
    """
    rows = {(row.target, row.view, row.symbol): row for row in ranking.rows}
    chosen: dict[tuple[str, str, str | None], list[str]] = {}
    for selection in selections:
        if selection.selected:
            chosen.setdefault((selection.target, selection.view, selection.symbol), []).append(
                selection.feature
            )
    sizes = {(row.target, row.view, row.symbol): row.fold_features for row in selections}
    suspects = {(row.target, row.feature): row.evidence for row in leaks if row.verdict != SAFE}
    found = []
    for target in measured:
        for cell in target.cells:
            key = (cell.target, cell.view, cell.symbol)
            common = chosen.get((cell.target, CROSS_SECTIONAL, None), cell.features)
            features = tuple(chosen.get(key, common))
            status, reason = _leakage(cell, features, suspects)
            made = _candidate(
                cell,
                rows[key],
                stability_of(cell, config, sizes.get(key)),
                provenance,
                deviation_q=ranking.deviation_q.get((cell.target, cell.symbol)),
                own_law_rate=own_law_rate,
            )
            found.append(
                Candidate(
                    **made,
                    leakage_status=status,
                    leakage_reason=reason,
                    blocked_features=tuple(
                        name for name in unusable.get(cell.target, ()) if name not in features
                    ),
                    feature_set_id=f"s_{fingerprint(list(features))[:16]}" if features else None,
                    features=features,
                )
            )
    return sorted(found, key=lambda row: (row.target, row.view, row.symbol or ""))


def _leakage(
    cell: Skill, features: Sequence[str], suspects: Mapping[tuple[str, str], str]
) -> tuple[str, str | None]:
    """The status of the features really used; with none left, everything known is a leak."""
    if not features:
        return BLOCKED, "every feature knows the future"
    used = [name for name in features if (cell.target, name) in suspects]
    if used:
        return SUSPECT, f"{', '.join(used[:3])}: {suspects[cell.target, used[0]]}"
    return SAFE, None


def _candidate(
    cell: Skill,
    row: RankedRow,
    stability: Stability,
    provenance: Provenance,
    *,
    deviation_q: float | None,
    own_law_rate: float,
) -> dict[str, Any]:
    return {
        "target": cell.target,
        "view": cell.view,
        "symbol": cell.symbol,
        "mode": cell.view,
        "score": row.score,
        "score_ci_low": row.score_ci_low,
        "score_ci_high": row.score_ci_high,
        "standard_error": row.standard_error,
        "metric_name": row.metric_name,
        "z": row.z,
        "p_value": row.p_value,
        "q_value": row.q_value,
        "kept": row.kept,
        "kept_reason": row.reason,
        "last_fold_score": row.last_fold_score,
        "pooled_score": cell.pooled,
        "found_by": cell.found_by,
        "leading": cell.leading,
        "lag_bars": cell.bars,
        "sign": cell.sign,
        "best_model": row.best_model,
        "folds": len(cell.folds),
        "coverage": cell.coverage,
        "deviating_symbols": cell.deviating,
        "rest_z": cell.rest_z,
        "rest_p": cell.rest_p,
        "deviates": None if deviation_q is None else deviation_q <= own_law_rate,
        "deviation_z": cell.deviation_z,
        "deviation_q": deviation_q,
        "stability": stability.label,
        "mean_overlap": stability.agreement.mean_overlap,
        "std_overlap": stability.agreement.std_overlap,
        "mean_tau": stability.agreement.mean_tau,
        "std_tau": stability.agreement.std_tau,
        "n_snapshots": stability.snapshots,
        "sample_size": row.rows,
        "effective_sample_size": row.effective_rows,
        "task_type": row.task_type,
        "horizon_bars": row.horizon_bars,
        "target_rank": row.rank,
        "model_status": "OK" if row.score is not None else "FAILED",
        "panel_key": provenance.panel_key,
        "config_hash": provenance.config_hash,
        "code_version": provenance.code_version,
        "seed": provenance.seed,
    }
