"""Plans, clocks and words for tests of the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from store import FamilyEntry, Plan, complete_plan, parse_plan_text
from store.database import Database
from store.events import CheckpointSaved, FitStarted, FitSucceeded
from store.projections import columns_of
from store.state import STATE_TYPES

GPU = frozenset(("LSTM", "MLP", "MultiTask"))
SPELLINGS = {
    "lightgbm": "LightGBM", "light_gbm": "LightGBM", "LightGBM": "LightGBM",
    "xgboost": "XGBoost", "XGBoost": "XGBoost",
    "lstm": "LSTM", "LSTM": "LSTM", "mlp": "MLP", "MLP": "MLP", "ngboost": "NGBoost", "NGBoost": "NGBoost",
    "ensemble": "Ensemble", "Ensemble": "Ensemble", "MultiTask": "MultiTask", "Blend": "Blend",
}  # fmt: skip
DATA = {"data_dir": "data", "symbols": ["AAPL", "MSFT"], "panel_key": "d_1", "panel_path": "cache/d_1"}


def family_of(name: str) -> FamilyEntry:
    """A catalogue of seven families; NGBoost is not installed."""
    if name not in SPELLINGS:
        raise LookupError(f"the family {name!r} is not known; the nearest is LightGBM")
    family = SPELLINGS[name]
    unavailable = "library ngboost not installed" if family == "NGBoost" else None
    return FamilyEntry(
        name=family,
        stage="gpu" if family in GPU else "cpu",
        unavailable=unavailable,
        stacks=family == "Ensemble",
        shares=family == "MultiTask",
    )


def cs_job(
    target: str, *, families: Sequence[str] = ("LightGBM", "LSTM"), priority: int = 2
) -> dict[str, Any]:
    return {
        "job_id": f"cs_{target}",
        "target": target,
        "symbol": None,
        "route": "ROUTE_CROSS_SECTIONAL",
        "training_type": "cross_sectional",
        "model_families": list(families),
        "priority": priority,
        "reason": "CS training enabled",
        "metadata": {},
    }


def document(*jobs: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"generated_at": "2025-12-11T18:45:00Z", **metadata}, "jobs": list(jobs)}


def plan_of(*jobs: Mapping[str, Any], seed: int = 1, barrier: str = "plan") -> Plan:
    checked = parse_plan_text(json.dumps(document(*jobs)).encode(), source="test")
    return complete_plan(
        checked, family_of=family_of, training={"seed": seed, "stage_barrier": barrier}, data=DATA
    )


def blended_jobs(*families: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job of one symbol, then the common one of its target; the first is blended from both."""
    own = {
        **cs_job("y", families=families, priority=3), "job_id": "sym_y_AAPL", "symbol": "AAPL",
        "training_type": "symbol_specific", "route": "ROUTE_BOTH", "metadata": {"needs_cs_ensemble": True},
    }  # fmt: skip
    return own, cs_job("y", families=families)


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


STARTED = FitStarted(pid=42, device_requested="cpu", device_used="cpu", log="fit.log")
SUCCEEDED = FitSucceeded(bundle="models/b", sha256="ab" * 32, metrics={"rank_ic": 0.031}, seconds=12.5)


def checkpoint(step: int) -> CheckpointSaved:
    return CheckpointSaved(step=step, path=f"work/step-{step}", seconds=0.25)


def projected_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every projection table, sorted by key."""
    with database.snapshot() as tx:
        return {
            kind.TABLE: tx.query(
                f"SELECT {', '.join(columns_of(kind))} FROM {kind.TABLE} ORDER BY {', '.join(kind.KEY)}"
            )
            for kind in STATE_TYPES
        }
