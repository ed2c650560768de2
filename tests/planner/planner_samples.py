"""Small data of known content for the tests of the planner: panels, candidates, measured cells, requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from panel.aligned import Column, Panel
from panel.prepare import prepare_panel
from planner.config import PlannerConfig, planner_config
from planner.request import PlanningResult, PlanRequest
from planner.skill import FoldView, Recent, Skill
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC, Candidate

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
FEATURES = ("alpha", "beta", "gamma", "delta")
QUICK: Mapping[str, Any] = {
    "ranking": {"boosting_rounds": 10, "folds": 3},
    "routing": {"min_rows_cross_sectional": 200, "min_rows_symbol": 100, "min_effective_rows": 20},
}


def ahead(shocks: npt.NDArray[np.float64], bars: int) -> npt.NDArray[np.float64]:
    """The sum of the next `bars` shocks, NaN where they do not exist: a label of that horizon."""
    total = np.concatenate(([0.0], np.cumsum(shocks)))
    label = np.full(len(shocks), np.nan)
    label[: len(shocks) - bars] = total[bars + 1 :] - total[1 : len(shocks) - bars + 1]
    return label


def frame(rows: int, seed: int, strength: float = 0.18) -> pd.DataFrame:
    """Four features; `y_linear_1d` follows alpha with `strength`, the targets of luck follow nothing."""
    rng = np.random.default_rng(seed)
    features = {name: rng.standard_normal(rows) for name in FEATURES}
    driven = strength * np.concatenate(([0.0], features["alpha"][:-1])) + rng.standard_normal(rows)
    luck, slow = rng.standard_normal(rows), rng.standard_normal(rows)
    return pd.DataFrame(
        {
            "ts": pd.date_range("2015-01-01", periods=rows, freq="D", tz="UTC").as_unit("ns"),
            **features,
            "y_linear_1d": ahead(driven, 1),
            "y_luck_1d": ahead(luck, 1),
            "y_luck_5d": ahead(slow, 5),
        }
    )


def frames(
    rows: int = 900, symbols: Sequence[str] = SYMBOLS, strength: float = 0.18
) -> dict[str, pd.DataFrame]:
    """One frame per symbol, each of its own seed."""
    return {symbol: frame(rows, seed, strength) for seed, symbol in enumerate(symbols, start=1)}


def write(data: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Frames by symbol as FOLDER/symbol=X/X.parquet."""
    for symbol, table in data.items():
        place = folder / f"symbol={symbol}"
        place.mkdir(parents=True, exist_ok=True)
        table.to_parquet(place / f"{symbol}.parquet", index=False)
    return folder


def panel_of(data: Mapping[str, pd.DataFrame], folder: Path, **options: Any) -> Panel:
    """Frames by symbol, written and prepared under `folder`."""
    data_dir = write(data, folder / "data")
    return prepare_panel(data_dir, **{"symbols": None, "cache_dir": folder / "cache", **options})


def request(data_dir: Path, results_dir: Path, **changes: Any) -> PlanRequest:
    """A fully automatic request with quick settings."""
    values: dict[str, Any] = {
        "data_dir": data_dir,
        "results_dir": results_dir,
        "auto_targets": True,
        "auto_features": True,
        "config": quick_config(),
        **changes,
    }
    return PlanRequest(**values)


def quick_config(**tables: Mapping[str, Any]) -> PlannerConfig:
    """Quick settings with changes by section."""
    mapping = {name: {**QUICK.get(name, {}), **tables.get(name, {})} for name in {*QUICK, *tables}}
    return planner_config(mapping)


def candidate(**changes: Any) -> Candidate:
    """A strong, stable, safe cross-sectional row of a regression target."""
    values: dict[str, Any] = {
        "target": "y",
        "view": CROSS_SECTIONAL,
        "symbol": None,
        "mode": CROSS_SECTIONAL,
        "score": 0.10,
        "score_ci_low": 0.08,
        "score_ci_high": 0.12,
        "standard_error": 0.01,
        "metric_name": "rank_ic",
        "p_value": 1e-6,
        "q_value": 1e-5,
        "kept": True,
        "kept_reason": "kept",
        "stability": "STABLE",
        "sample_size": 10_000,
        "effective_sample_size": 1_000.0,
        "leakage_status": "SAFE",
        "features": ("alpha", "beta"),
        "task_type": "regression",
        "horizon_bars": 1,
    }
    return Candidate(**{**values, **changes})


def local_candidate(symbol: str = "AAA", **changes: Any) -> Candidate:
    """A strong, stable, safe row of one symbol."""
    values = {"view": SYMBOL_SPECIFIC, "mode": SYMBOL_SPECIFIC, "symbol": symbol, "metric_name": "rank_corr"}
    return candidate(**{**values, **changes})


def fold_view(
    correlation: Sequence[float], *, score: float = 0.1, gain: Sequence[float] | None = None, **changes: Any
) -> FoldView:
    """One fold's view of the features, ridge as large as the correlation."""
    values: dict[str, Any] = {
        "score": score,
        "train_rows": 1_000,
        "train_timestamps": 1_000,
        "correlation": tuple(correlation),
        "ridge": tuple(abs(value) for value in correlation),
        "gain": tuple(gain if gain is not None else (abs(value) for value in correlation)),
    }
    return FoldView(**{**values, **changes})


def recent(*scores: float, error: float = 0.01) -> tuple[Recent, ...]:
    """Skill in the newest 1/8, 3/16, 1/4 and 3/8 of the scored time, or in as many of them as are given."""
    return tuple(
        Recent(share=share, score=score, standard_error=error)
        for share, score in zip((0.125, 0.1875, 0.25, 0.375), scores, strict=False)
    )


def cell(**changes: Any) -> Skill:
    """A measured cross-sectional cell with clear skill in all of three folds and all newest windows."""
    values: dict[str, Any] = {
        "target": "y",
        "view": CROSS_SECTIONAL,
        "symbol": None,
        "features": ("alpha", "beta", "gamma"),
        "rows": 1_000,
        "scored_rows": 700,
        "coverage": 1.0,
        "metric": "rank_ic",
        "score": 0.1,
        "standard_error": 0.01,
        "low": 0.08,
        "high": 0.12,
        "effective_rows": 500.0,
        "z": 8.0,
        "p_value": 1e-10,
        "tests": 500,
        "found_by": "rank",
        "leading": ("alpha", "beta"),
        "sign": 1,
        "linear": 0.09,
        "boosted": 0.08,
        "recent": recent(0.1, 0.1, 0.1, 0.1),
        "folds": tuple(fold_view((0.3, 0.2, 0.0)) for _ in range(3)),
    }
    return Skill(**{**values, **changes})


def target_column(name: str = "y", **changes: Any) -> Column:
    """The record of a regression target one bar ahead."""
    values: dict[str, Any] = {
        "name": name,
        "role": "target",
        "task": "regression",
        "horizon_bars": 1,
        "classes": (),
        "coverage": 1.0,
        "coverage_by_symbol": {},
        "reason": None,
    }
    return Column(**{**values, **changes})


def rows_by(result: PlanningResult, table: str, key: str) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of one of the result's tables, grouped by a column."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in getattr(result, table):
        found.setdefault(row[key], []).append(row)
    return found


_MADE_AT = re.compile(rb"Made \d{4}-\d\d-\d\dT[\d:]+Z")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a results tree but the cache, by relative path; times of writing blanked."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and relative.parts[0] != "cache":
            found[str(relative)] = b"\n".join(
                b"" if b"generated_at" in line else _MADE_AT.sub(b"", line)
                for line in path.read_bytes().split(b"\n")
            )
    return found
