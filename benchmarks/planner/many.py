"""Routing and planning of very many candidates: every target of every symbol, all of them worth training."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from planner.config import RoutingConfig
from planner.routing_plan import routing_plan
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC, Candidate
from planner.training_plan import TrainingPlanGenerator

SYMBOLS = 199  # and one row for all of them together


def candidates(count: int) -> list[Candidate]:
    """Strong rows of `count` / 200 targets."""
    features = tuple(f"feature_{place:03d}" for place in range(30))
    pooled = Candidate(
        target="", view=CROSS_SECTIONAL, mode=CROSS_SECTIONAL, symbol=None, score=0.10, score_ci_low=0.08,
        score_ci_high=0.12, standard_error=0.01, metric_name="rank_ic", p_value=1e-6, q_value=1e-5, kept=True,
        kept_reason="kept", stability="STABLE", sample_size=100_000, effective_sample_size=9_000.0,
        leakage_status="SAFE", features=features, task_type="regression", horizon_bars=1,
    )  # fmt: skip
    alone = replace(
        pooled, view=SYMBOL_SPECIFIC, mode=SYMBOL_SPECIFIC, metric_name="rank_corr", deviates=True,
        deviation_z=6.0, deviation_q=1e-5,
    )  # fmt: skip
    made = []
    for number in range(max(1, count // (SYMBOLS + 1))):
        target = f"y_target_{number:04d}_1d"
        made.append(replace(pooled, target=target))
        made += [replace(alone, target=target, symbol=f"S{place:03d}") for place in range(SYMBOLS)]
    return made


def route(count: int, results: str) -> dict[str, Any]:
    """CPU seconds of the routing plan, the training plan and the writing of both."""
    from planner.artifacts import write_routing_plan, write_training_plan  # noqa: PLC0415 -- not timed

    rows = candidates(count)
    targets = sorted({row.target for row in rows})
    symbols = sorted({row.symbol for row in rows if row.symbol})
    moment = "2026-01-01T00:00:00Z"
    marks = [time.process_time()]
    routes = routing_plan(
        rows, RoutingConfig(), targets=targets, symbols=symbols, generated_at=moment, provenance={}
    )
    marks.append(time.process_time())
    plan = TrainingPlanGenerator(routing_plan=routes).generate_training_plan(generated_at=moment)
    marks.append(time.process_time())
    write_routing_plan(Path(results), routes)
    write_training_plan(Path(results) / "plan", plan)
    marks.append(time.process_time())
    routed, planned, written = (after - before for before, after in pairwise(marks))
    counts = {"rows": len(rows), "jobs": len(plan["jobs"])}
    return {**counts, "routed": routed, "planned": planned, "written": written}
