"""The jobs of one target: what is trained, with which features and families, and what is blended from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from executors.families import Family
from planner.companions import Companions, members_of, trains_pooled, trains_symbol, with_company
from planner.estimates import Estimate, PastCosts, estimate_fit
from planner.families import fitting_families
from planner.routing import (
    ROUTE_BLOCKED,
    ROUTE_BOTH,
    ROUTE_CROSS_SECTIONAL,
    ROUTE_EXPERIMENTAL_ONLY,
    ROUTE_SYMBOL_SPECIFIC,
)

PRIORITIES = {
    ROUTE_BOTH: 3,
    ROUTE_SYMBOL_SPECIFIC: 2,
    ROUTE_CROSS_SECTIONAL: 2,
    ROUTE_EXPERIMENTAL_ONLY: 1,
    ROUTE_BLOCKED: 0,
}

Job = dict[str, Any]
_Fitting = tuple[list[Family], dict[str, str]]


@dataclass(slots=True, kw_only=True)
class JobMaker:
    """Makes the jobs of targets from their records in a routing plan; the same record gives the same jobs.

    Attributes:
        companions: what is trained beside each target, for families that learn several.
    """

    families: Sequence[Family]
    companions: Companions
    past: PastCosts | None
    blend_weights: str
    _fitting: dict[tuple[str | None, str | None, bool], _Fitting] = field(default_factory=dict)
    _estimates: dict[tuple[str, int | None, int | None], Estimate] = field(default_factory=dict)

    def jobs_of(self, target: str, record: Mapping[str, Any], *, include_blocked: bool) -> Iterator[Job]:
        """Yield the common job of a target where it is enabled, then the jobs of its symbols by name."""
        pooled = record.get("cross_sectional", {})
        common = self._pooled_job(target, record, pooled) if trains_pooled(record) else None
        if common is not None:
            yield common
        for symbol, row in sorted(record.get("symbols", {}).items()):
            if row["route"] == ROUTE_BLOCKED:
                if include_blocked:
                    yield _blocked_job(target, symbol, row)
            elif trains_symbol(row):
                yield self._symbol_job(target, symbol, record, row, common)

    def _pooled_job(self, target: str, record: Mapping[str, Any], row: Mapping[str, Any]) -> Job:
        others = self.companions.beside(target, None)
        families, unable = self._families(record.get("task"), None, others)
        route = row.get("training_route", ROUTE_CROSS_SECTIONAL)
        return {
            "job_id": f"cs_{target}",
            "target": target,
            "symbol": None,
            "route": route,
            "training_type": "cross_sectional",
            "model_families": [family.name for family in families],
            "priority": PRIORITIES[route],
            "reason": row.get("reason", "CS training enabled"),
            "metadata": {"cs_state": row.get("state"), **_facts(record, row, unable)},
            **self._work(families, row, others),
        }

    def _symbol_job(
        self,
        target: str,
        symbol: str,
        record: Mapping[str, Any],
        row: Mapping[str, Any],
        common: Job | None,
    ) -> Job:
        others = self.companions.beside(target, symbol)
        families, unable = self._families(record.get("task"), symbol, others)
        needs = row["route"] == ROUTE_BOTH
        job: Job = {
            "job_id": f"sym_{target}_{symbol}",
            "target": target,
            "symbol": symbol,
            "route": row["route"],
            "training_type": "symbol_specific",
            "model_families": [family.name for family in families],
            "priority": PRIORITIES[row["route"]],
            "reason": _reason(row),
            "metadata": {
                "cs_state": row.get("cs_state"),
                "local_state": row.get("local_state"),
                "needs_cs_ensemble": needs,
                "blend_with": common["job_id"] if needs and common is not None else None,
                **_facts(record, row, unable),
            },
            **self._work(families, row, others),
        }
        if needs and common is not None and families:
            job["blend"] = self._blend(common, job)
        return job

    def _families(self, task: str | None, symbol: str | None, others: Sequence[str]) -> _Fitting:
        """The families that can be trained for a target, and why the others cannot."""
        key = (task, symbol, bool(others))
        if key not in self._fitting:
            able, unable = fitting_families(self.families, task)
            able, alone = with_company(able, others, symbol)
            self._fitting[key] = able, unable | alone
        return self._fitting[key]

    def _work(self, families: Sequence[Family], row: Mapping[str, Any], others: Sequence[str]) -> Job:
        rows, features = row.get("sample_size"), row.get("features")
        count = len(features) if features else None
        return {
            "estimated_samples": rows,
            "features": features,
            "blocked_features": row.get("blocked_features") or [],
            "fits": [
                {
                    "family": family.name,
                    "stage": family.stage,
                    "depends_on": [],
                    **({"after": members_of(family, families)} if family.stacks else {}),
                    **({"other_targets": list(others)} if family.shares else {}),
                    "estimate": self._estimate(family, rows, count),
                }
                for family in families
            ],
        }

    def _estimate(self, family: Family, rows: int | None, features: int | None) -> Estimate:
        key = (family.name, rows, features)
        if key not in self._estimates:
            self._estimates[key] = estimate_fit(family, rows=rows, features=features, past=self.past)
        return self._estimates[key]

    def _blend(self, common: Job, own: Job) -> dict[str, Any]:
        """The model made of the common and the symbol's own models, once all of them are there."""
        parts = [f"{job['job_id']}/{name}" for job in (common, own) for name in job["model_families"]]
        return {
            "model": f"blend_{own['target']}_{own['symbol']}",
            "parts": parts,
            "weights": self.blend_weights,
            "depends_on": parts,
        }


def _facts(record: Mapping[str, Any], row: Mapping[str, Any], unable: Mapping[str, str]) -> dict[str, Any]:
    left_out = {"families_left_out": dict(unable)} if unable else {}
    return {
        "task": record.get("task"),
        "horizon_bars": record.get("horizon_bars"),
        "sample_size": row.get("sample_size"),
        "metric": row.get("metric"),
        "score": row.get("score"),
        "stability": row.get("stability"),
        "leakage_status": row.get("leakage_status"),
        "feature_set_id": row.get("feature_set_id"),
        **left_out,
    }


def _reason(row: Mapping[str, Any]) -> str:
    reasons = row.get("reason", [])
    return reasons if isinstance(reasons, str) else "; ".join(reasons)


def _blocked_job(target: str, symbol: str, row: Mapping[str, Any]) -> Job:
    return {
        "job_id": f"blocked_{target}_{symbol}",
        "target": target,
        "symbol": symbol,
        "route": ROUTE_BLOCKED,
        "training_type": "blocked",
        "model_families": [],
        "priority": PRIORITIES[ROUTE_BLOCKED],
        "reason": _reason(row),
        "metadata": {"cs_state": row.get("cs_state"), "local_state": row.get("local_state")},
        "estimated_samples": None,
        "features": None,
        "blocked_features": [],
        "fits": [],
    }
