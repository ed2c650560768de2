"""Plans to measure with: as many jobs as asked for, of families nobody has to train."""

from __future__ import annotations

from itertools import count
from typing import Any

from store import FamilyEntry, Plan, complete_plan
from store.events import FitSucceeded

DONE = FitSucceeded(
    bundle="models/x", sha256="0" * 64, metrics={"score": 0.1, "metric": "rank_ic"}, seconds=1.0
)
_TURNS = count(1)


def plan_of(jobs: int, *, families: int = 1, data: dict[str, Any] | None = None) -> Plan:
    """Return a plan nobody has seen, of so many jobs with so many CPU fits each."""
    turn = next(_TURNS)
    names = [f"Family{number}" for number in range(families)]
    document = {
        "metadata": {"generated_at": None, "total_jobs": jobs, "model_families": names},
        "jobs": [
            {
                "job_id": f"cs_y_{turn}_{number}",
                "target": f"y_{turn}_{number}",
                "symbol": None,
                "route": "ROUTE_CROSS_SECTIONAL",
                "training_type": "cross_sectional",
                "model_families": names,
                "priority": 2,
                "reason": "bench",
                "metadata": {},
            }
            for number in range(jobs)
        ],
    }
    return complete_plan(
        document,
        family_of=lambda name: FamilyEntry(name=name, stage="cpu"),
        training={"seed": turn},
        data=data or {},
    )
