"""Results trees of known content, written by the planner's own writers: what explanations and diffs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.artifacts import PLAN_DIR, write_routing_plan, write_table
from planner.config import PlannerConfig, config_document, planner_config
from planner.routing_plan import routing_plan
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC, Candidate, plain_row
from planner.training_plan import TrainingPlanGenerator

SYMBOLS = ("AAPL", "MSFT")
AT = "2026-01-02T03:04:05Z"
NUMBERS: Mapping[str, Any] = {
    "score": 0.10, "score_ci_low": 0.08, "score_ci_high": 0.12, "standard_error": 0.01, "p_value": 1e-6,
    "q_value": 1e-5, "kept": True, "task_type": "regression", "horizon_bars": 5,
}  # fmt: skip
LINES: Mapping[str, Any] = {"routing": {"require_deviation": False}}


def row(target: str, symbol: str | None = None, **changes: Any) -> Candidate:
    """A strong, stable, safe candidate of all symbols, or of one."""
    view = SYMBOL_SPECIFIC if symbol else CROSS_SECTIONAL
    values: dict[str, Any] = {
        "target": target, "view": view, "mode": view, "symbol": symbol,
        "metric_name": "rank_corr" if symbol else "rank_ic", "stability": "STABLE", "sample_size": 10_000,
        "effective_sample_size": 900.0, "leakage_status": "SAFE", "features": ("vol_20", "ret_5"),
        "blocked_features": ("leak",), "target_rank": 1, **NUMBERS,
    }  # fmt: skip
    return Candidate(**{**values, **changes})


def ranked(target: str, symbol: str | None = None, **changes: Any) -> dict[str, Any]:
    """A row of the ranking table: kept, first of its planning."""
    return {
        "target": target, "view": SYMBOL_SPECIFIC if symbol else CROSS_SECTIONAL, "symbol": symbol, "rank": 1,
        "selected": True, "reason": "kept: it is good", "metric_name": "rank_ic", "skill": 0.1, "z": 5.0,
        "shifts": 500, "last_fold_score": 0.09, "fold_scores": [0.1, 0.12, 0.09], "rows": 10_000,
        "scored_rows": 8_000, "effective_rows": 900.0, "coverage": 0.99, **NUMBERS, **changes,
    }  # fmt: skip


def leak(target: str, feature: str, verdict: str) -> dict[str, Any]:
    """A row of the leak table."""
    found = None if verdict == "SAFE" else "copy"
    return {
        "target": target,
        "feature": feature,
        "verdict": verdict,
        "probe": found,
        "evidence": "rank correlation 0.999",
    }


def chosen(target: str, feature: str, position: int | None, symbol: str | None = None) -> dict[str, Any]:
    """A row of the selection table; without a position the feature was left out."""
    return {
        "target": target, "view": SYMBOL_SPECIFIC if symbol else CROSS_SECTIONAL, "symbol": symbol,
        "feature": feature, "selected": position is not None, "position": position,
        "reason": "chosen in 100% of the folds" if position else "a twin of vol_20", "frequency": 1.0,
        "importance": 0.5, "rank_correlation": 0.1, "ridge_importance": 0.5, "boosting_importance": 0.5,
        "folds": 4, "leakage_verdict": "SAFE",
    }  # fmt: skip


def write_results(
    folder: Path,
    candidates: Sequence[Candidate],
    *,
    settings: Mapping[str, Any] = LINES,
    ranking: Sequence[Mapping[str, Any]] = (),
    leaks: Sequence[Mapping[str, Any]] = (),
    selections: Sequence[Mapping[str, Any]] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
    families: Sequence[str] = ("LightGBM",),
    **metadata: Any,
) -> Path:
    """Write tables, routing plan and training plan of these candidates; return the results directory."""
    config = planner_config(settings) if settings else PlannerConfig()
    routes = routing_plan(
        candidates,
        config.routing,
        targets=sorted({candidate.target for candidate in candidates}),
        symbols=SYMBOLS,
        generated_at=AT,
        provenance=provenance(config, **metadata),
        left_out=left_out,
    )
    tables = {"target_ranking": ranking, "leakage": leaks, "feature_selection": selections}
    for name, rows in tables.items():
        write_table(folder, name, rows)
    write_table(folder, "routing_candidates", [plain_row(candidate) for candidate in candidates])
    write_routing_plan(folder, routes)
    generator = TrainingPlanGenerator(routing_plan=routes, model_families=families)
    generator.generate_training_plan(folder / PLAN_DIR, generated_at=AT)
    return folder


def provenance(config: PlannerConfig, **changes: Any) -> dict[str, Any]:
    """The metadata of both plans."""
    return {
        "config_hash": "c",
        "code_version": "1",
        "fingerprints": {"panel": "d_1", "config": "c"},
        "seed": 42,
        "settings": config_document(config),
        "request": {
            "symbols": None, "targets": None, "features": None,
            "auto_targets": True, "auto_features": True, "top_n_targets": 10,
        },
        "training": {"test_share": 0.2, "seed": 42},
        "data": {"data_dir": "/bars", "symbols": list(SYMBOLS), "interval": None},
        **changes,
    }  # fmt: skip


def standard_results(folder: Path) -> Path:
    """`y_5d` routed BOTH for AAPL, with a blocked leak; `y_dull` dropped by the ranking."""
    candidates = [row("y_5d"), row("y_5d", "AAPL"), row("y_5d", "MSFT", kept=False, stability="DIVERGED")]
    return write_results(
        folder,
        candidates,
        ranking=[
            ranked("y_5d"),
            ranked("y_5d", "AAPL", coverage=0.97, rows=5_200),
            ranked("y_5d", "MSFT", kept=False, reason="dropped: not told apart from luck"),
            ranked("y_dull", rank=None, selected=False, kept=False, q_value=0.4, reason="dropped: q 0.4"),
        ],
        leaks=[
            leak("y_5d", "leak", "BLOCKED"),
            leak("y_5d", "odd", "SUSPECT"),
            leak("y_5d", "vol_20", "SAFE"),
        ],
        selections=[
            chosen("y_5d", "ret_5", 2),
            chosen("y_5d", "vol_20", 1),
            chosen("y_5d", "twin", None),
            chosen("y_5d", "vol_20", 1, "AAPL"),
        ],
        left_out={"y_dull": ["all symbols: dropped: q 0.4"]},
    )
