"""From a routing plan to the training plan document: which fits, with which features, in which order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executors.families import DEFAULT_FAMILIES
from planner.artifacts import write_training_plan
from planner.companions import Companions
from planner.config import TrainingConfig
from planner.estimates import PastCosts, estimates_source
from planner.families import choose_families
from planner.jobs import PRIORITIES, JobMaker
from planner.routing import ROUTE_BLOCKED, ROUTES
from planner.routing_plan import check_routing_plan
from store.collecting import uncollected

__all__ = ["PRIORITIES", "TrainingPlanGenerator"]

SCHEMA_VERSION = 1

_CARRIED = (
    "config_hash", "code_version", "fingerprints", "settings", "request", "training", "data", "seed",
)  # fmt: skip
_UNRANKED = 10**9


class TrainingPlanGenerator:
    """Turns one routing plan into one training plan; the same routing plan gives the same jobs."""

    def __init__(
        self,
        routing_plan: Mapping[str, Any],
        model_families: Sequence[str] | None = None,
        *,
        past_costs: PastCosts | None = None,
    ) -> None:
        """Take a routing plan document and family names in any spelling (None: LightGBM and XGBoost).

        `past_costs` are the measured costs of earlier fits by family, for the estimates, else built-in
        figures are taken. They are an input like the routing plan: the same ones give the same bytes.

        Raises:
            PlanUnreadable: not a routing plan.
            executors.errors.UnknownFamily: a family nobody knows.
        """
        check_routing_plan(routing_plan, "routing_plan")
        self.routing_plan = routing_plan
        self.requested = list(DEFAULT_FAMILIES if model_families is None else model_families)
        self.chosen = choose_families(self.requested)
        self.past_costs = past_costs

    def generate_training_plan(
        self,
        output_dir: Path | str | None = None,
        include_blocked: bool = False,
        *,
        generated_at: str | None = None,
        routing_plan_path: str | None = None,
    ) -> dict[str, Any]:
        """Return the training plan; with `output_dir`, also write it there with its mirrors and views.

        `include_blocked` adds a job without families for every blocked pair. `generated_at` is ISO UTC,
        now by default.

        Raises:
            ArtifactUnwritable: a file cannot be written.
        """
        with uncollected():
            jobs = self._jobs(include_blocked=include_blocked)
            document = {
                "metadata": self._metadata(jobs, generated_at, routing_plan_path),
                "jobs": jobs,
                "summary": self._summary(jobs),
                "blocked": dict(self.routing_plan.get("blocked", {})),
            }
        if output_dir is not None:
            write_training_plan(Path(output_dir), document)
        return document

    def _targets(self) -> Mapping[str, Any]:
        targets: Mapping[str, Any] = self.routing_plan["targets"]
        return targets

    def _jobs(self, *, include_blocked: bool) -> list[dict[str, Any]]:
        """All jobs: by priority, the target's rank and name; the common job first, then the best symbol."""
        settings = self.routing_plan.get("metadata", {}).get("settings") or {}
        weights = (settings.get("training") or {}).get("blend_weights")
        maker = JobMaker(
            families=self.chosen.families,
            companions=Companions.of(self._targets()),
            past=self.past_costs,
            blend_weights=weights or TrainingConfig().blend_weights,
        )
        keyed = []
        for target, record in self._targets().items():
            rank = record.get("rank") or _UNRANKED
            for job in maker.jobs_of(target, record, include_blocked=include_blocked):
                score = job["metadata"].get("score")
                place = (-job["priority"], rank, target, job["symbol"] is not None)
                keyed.append(((*place, -(score or 0.0), job["job_id"]), job))
        keyed.sort(key=lambda pair: pair[0])
        return [job for _, job in keyed]

    def _metadata(self, jobs: Sequence[Any], generated_at: str | None, path: str | None) -> dict[str, Any]:
        source = self.routing_plan.get("metadata", {})
        snapshot = source.get("metrics_snapshot", "routing_candidates.parquet")
        return {
            "schema_version": SCHEMA_VERSION,
            "generated_at": generated_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "routing_plan_path": path or "METRICS/routing_plan/routing_plan.json",
            "metrics_snapshot": snapshot,
            "total_jobs": len(jobs),
            "total_fits": sum(len(job["fits"]) for job in jobs),
            "model_families": self.chosen.names,
            "model_families_requested": self.requested,
            "model_families_left_out": self.chosen.left_out,
            "estimates": estimates_source(self.past_costs),
            **{name: source[name] for name in _CARRIED if name in source},
        }

    def _summary(self, jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        by_route = Counter(job["route"] for job in jobs)
        by_type = Counter(job["training_type"] for job in jobs)
        by_priority = Counter(str(job["priority"]) for job in jobs)
        blocked = sum(
            row["route"] == ROUTE_BLOCKED
            for record in self._targets().values()
            for row in record.get("symbols", {}).values()
        )
        return {
            "by_route": {route: by_route[route] for route in ROUTES if by_route[route]},
            "by_type": dict(sorted(by_type.items())),
            "by_priority": dict(sorted(by_priority.items(), reverse=True)),
            "total_cs_jobs": by_type["cross_sectional"],
            "total_symbol_jobs": by_type["symbol_specific"],
            "total_blocked": blocked,
            "total_blends": sum("blend" in job for job in jobs),
            "estimated_seconds": _seconds_by_stage(jobs),
        }


def _seconds_by_stage(jobs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Estimated seconds of all fits of each stage, those of unknown cost left out."""
    seconds = {"cpu": 0.0, "gpu": 0.0}
    for job in jobs:
        for fit in job["fits"]:
            seconds[fit["stage"]] += fit["estimate"]["seconds"] or 0.0
    return {stage: round(value, 1) for stage, value in seconds.items()}
