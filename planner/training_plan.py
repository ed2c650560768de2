"""From a routing plan to the training plan document: which fits, with which features, in which order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executors.families import DEFAULT_FAMILIES, Family
from planner.artifacts import write_training_plan
from planner.estimates import estimate_fit
from planner.families import choose_families, fitting_families
from planner.routing import (
    DISALLOWED,
    ROUTE_BLOCKED,
    ROUTE_BOTH,
    ROUTE_CROSS_SECTIONAL,
    ROUTE_EXPERIMENTAL_ONLY,
    ROUTE_SYMBOL_SPECIFIC,
    ROUTES,
)
from planner.routing_plan import check_routing_plan

SCHEMA_VERSION = 1

PRIORITIES = {
    ROUTE_BOTH: 3,
    ROUTE_SYMBOL_SPECIFIC: 2,
    ROUTE_CROSS_SECTIONAL: 2,
    ROUTE_EXPERIMENTAL_ONLY: 1,
    ROUTE_BLOCKED: 0,
}

_CARRIED = ("config_hash", "code_version", "fingerprints", "settings", "request", "training", "data", "seed")


class TrainingPlanGenerator:
    """Turns one routing plan into one training plan; the same routing plan gives the same jobs."""

    def __init__(self, routing_plan: Mapping[str, Any], model_families: Sequence[str] | None = None) -> None:
        """Take a routing plan document and family names in any spelling (None: LightGBM and XGBoost).

        Raises:
            PlanUnreadable: not a routing plan.
            executors.errors.UnknownFamily: a family nobody knows.
        """
        check_routing_plan(routing_plan, "routing_plan")
        self.routing_plan = routing_plan
        self.requested = list(DEFAULT_FAMILIES if model_families is None else model_families)
        self.chosen = choose_families(self.requested)

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
        jobs = [
            job
            for target in sorted(self._targets())
            for job in self._jobs_of(target, include_blocked=include_blocked)
        ]
        ranks = {target: record.get("rank") or 10**9 for target, record in self._targets().items()}
        jobs.sort(key=lambda job: (-job["priority"], ranks[job["target"]]))  # stable: names break ties
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
            **{name: source[name] for name in _CARRIED if name in source},
        }

    def _summary(self, jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        by_route = Counter(job["route"] for job in jobs)
        by_type = Counter(job["training_type"] for job in jobs)
        by_priority = Counter(str(job["priority"]) for job in jobs)
        pairs = [
            row["route"] for record in self._targets().values() for row in record.get("symbols", {}).values()
        ]
        return {
            "by_route": {route: by_route[route] for route in ROUTES if by_route[route]},
            "by_type": dict(sorted(by_type.items())),
            "by_priority": dict(sorted(by_priority.items(), reverse=True)),
            "total_cs_jobs": by_type["cross_sectional"],
            "total_symbol_jobs": by_type["symbol_specific"],
            "total_blocked": pairs.count(ROUTE_BLOCKED),
        }

    def _jobs_of(self, target: str, *, include_blocked: bool) -> list[dict[str, Any]]:
        record = self._targets()[target]
        pooled = record.get("cross_sectional", {})
        enabled = pooled.get("route") == "ENABLED"
        jobs = [self._pooled_job(target, record)] if enabled else []
        for symbol, row in sorted(record.get("symbols", {}).items()):
            if row["route"] == ROUTE_BLOCKED:
                jobs += [_blocked_job(target, symbol, row)] if include_blocked else []
            elif row["route"] in (ROUTE_BOTH, ROUTE_SYMBOL_SPECIFIC) or (
                row["route"] == ROUTE_EXPERIMENTAL_ONLY and row.get("local_state") != DISALLOWED
            ):
                jobs.append(self._symbol_job(target, symbol, record, enabled=enabled))
        return jobs

    def _pooled_job(self, target: str, record: Mapping[str, Any]) -> dict[str, Any]:
        pooled = record["cross_sectional"]
        job = {
            "job_id": f"cs_{target}",
            "target": target,
            "symbol": None,
            "route": pooled.get("training_route", ROUTE_CROSS_SECTIONAL),
            "training_type": "cross_sectional",
            "reason": pooled.get("reason", "CS training enabled"),
            "metadata": {"cs_state": pooled.get("state"), **_facts(record, pooled)},
        }
        return self._with_fits(job, record, pooled)

    def _symbol_job(
        self, target: str, symbol: str, record: Mapping[str, Any], *, enabled: bool
    ) -> dict[str, Any]:
        row = record["symbols"][symbol]
        needs = row["route"] == ROUTE_BOTH
        reasons = row.get("reason", [])
        job = {
            "job_id": f"sym_{target}_{symbol}",
            "target": target,
            "symbol": symbol,
            "route": row["route"],
            "training_type": "symbol_specific",
            "reason": reasons if isinstance(reasons, str) else "; ".join(reasons),
            "metadata": {
                "cs_state": row.get("cs_state"),
                "local_state": row.get("local_state"),
                "needs_cs_ensemble": needs,
                "blend_with": f"cs_{target}" if needs and enabled else None,
                **_facts(record, row),
            },
        }
        return self._with_fits(job, record, row)

    def _with_fits(
        self, job: dict[str, Any], record: Mapping[str, Any], row: Mapping[str, Any]
    ) -> dict[str, Any]:
        families, unable = fitting_families(self.chosen.families, record.get("task"))
        rows, features = row.get("sample_size"), row.get("features")
        if unable:
            job["metadata"]["families_left_out"] = unable
        return {
            **job,
            "priority": PRIORITIES[job["route"]],
            "model_families": [family.name for family in families],
            "estimated_samples": rows,
            "features": features,
            "blocked_features": list(row.get("blocked_features") or []),
            "fits": [_fit(family, rows, features) for family in families],
        }


def _fit(family: Family, rows: int | None, features: Sequence[str] | None) -> dict[str, Any]:
    return {
        "family": family.name,
        "stage": family.stage,
        "depends_on": [],
        "estimate": estimate_fit(family, rows=rows, features=len(features) if features else None),
    }


def _facts(record: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": record.get("task"),
        "horizon_bars": record.get("horizon_bars"),
        "sample_size": row.get("sample_size"),
        "metric": row.get("metric"),
        "score": row.get("score"),
        "stability": row.get("stability"),
        "leakage_status": row.get("leakage_status"),
        "feature_set_id": row.get("feature_set_id"),
    }


def _blocked_job(target: str, symbol: str, row: Mapping[str, Any]) -> dict[str, Any]:
    reasons = row.get("reason", [])
    return {
        "job_id": f"blocked_{target}_{symbol}",
        "target": target,
        "symbol": symbol,
        "route": ROUTE_BLOCKED,
        "training_type": "blocked",
        "reason": reasons if isinstance(reasons, str) else "; ".join(reasons),
        "metadata": {"cs_state": row.get("cs_state"), "local_state": row.get("local_state")},
        "priority": PRIORITIES[ROUTE_BLOCKED],
        "model_families": [],
        "estimated_samples": None,
        "features": None,
        "blocked_features": [],
        "fits": [],
    }
