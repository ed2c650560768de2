"""Golden plans: a table of candidates in, a routing plan and a training plan out, one case for each rule.

A case is a directory of tests/golden/planning: `case.toml` says in a sentence what it shows, and holds what
goes in; a candidate is written as what it has unlike STRONG, one of an older table as it is. Run this file to
write the plans anew, then read the difference:

    python tests/golden/planning_cases.py [CASE ...]
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.config import planner_config
from planner.plan_text import json_bytes
from planner.routing_plan import routing_plan
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC, candidate_from
from planner.training_plan import TrainingPlanGenerator

HERE = Path(__file__).parent / "planning"
GENERATED_AT = "2026-01-02T03:04:05Z"
STRONG: Mapping[str, Any] = {
    "target": "y",
    "score": 0.1,
    "score_ci_low": 0.08,
    "score_ci_high": 0.12,
    "metric_name": "rank_ic",
    "p_value": 1e-06,
    "q_value": 1e-05,
    "kept": True,
    "kept_reason": "kept: q 1e-05 within 0.05",
    "stability": "STABLE",
    "sample_size": 10_000,
    "effective_sample_size": 1_000.0,
    "leakage_status": "SAFE",
    "features": ["alpha", "beta"],
    "task_type": "regression",
    "horizon_bars": 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: its name, what it shows, and the two plans that come out of it."""

    name: str
    sentence: str
    routing_plan: dict[str, Any]
    training_plan: dict[str, Any]


def names() -> list[str]:
    """All cases, by name."""
    return sorted(place.name for place in HERE.iterdir() if place.is_dir())


def made(name: str) -> Case:
    """Read a case and plan it; settings, which every case has whole, are left out of what is kept."""
    given = tomllib.loads((HERE / name / "case.toml").read_text(encoding="utf-8"))
    table = [*map(_row, given.get("candidates", [])), *given.get("older_candidates", [])]
    rows = [candidate_from(row) for row in table]
    routes = routing_plan(
        rows,
        planner_config({"routing": given.get("routing", {})}).routing,
        targets=given.get("targets") or {row.target for row in rows},
        symbols=given["symbols"],
        generated_at=GENERATED_AT,
        provenance={},
        as_given=given.get("as_given", False),
        left_out=given.get("left_out"),
    )
    generator = TrainingPlanGenerator(
        routing_plan=routes,
        model_families=given.get("families", ["LightGBM"]),
        past_costs=given.get("past_costs"),
    )
    plan = generator.generate_training_plan(
        generated_at=GENERATED_AT, include_blocked=given.get("include_blocked", False)
    )
    for document in (routes, plan):
        del document["metadata"]["settings"]
    return Case(name=name, sentence=given["sentence"], routing_plan=routes, training_plan=plan)


def _row(given: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the candidate table: STRONG with what the case says; a row with a symbol is that symbol's."""
    view = SYMBOL_SPECIFIC if "symbol" in given else CROSS_SECTIONAL
    metric = {"metric_name": "rank_corr"} if "symbol" in given else {}
    return {"view": view, **STRONG, **metric, **given}


def main() -> None:
    """Write the plans of the named cases, or of all."""
    for name in sys.argv[1:] or names():
        case = made(name)
        (HERE / name / "routing_plan.json").write_bytes(json_bytes(case.routing_plan))
        (HERE / name / "master_training_plan.json").write_bytes(json_bytes(case.training_plan))
        print(f"{name}: {case.sentence}")


if __name__ == "__main__":
    main()
