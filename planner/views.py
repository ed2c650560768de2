"""Views of a training plan: the same jobs by target, symbol, type, route and stage."""

from collections.abc import Mapping
from typing import Any

Views = dict[str, dict[str, dict[str, Any]]]


def plan_views(document: Mapping[str, Any]) -> Views:
    """Return {directory: {name: view}} of a training plan; names are data, not yet file names.

    by_type always has cross_sectional and symbol_specific and by_stage cpu and gpu, empty or not; the others
    have one view for each value that occurs. A stage's view holds its jobs with that stage's fits only.
    """
    jobs = document["jobs"]
    views: Views = {"by_target": {}, "by_symbol": {}, "by_type": {}, "by_route": {}, "by_stage": {}}
    for kind in ("cross_sectional", "symbol_specific"):
        views["by_type"][kind] = {"training_type": kind, "jobs": []}
    for stage in ("cpu", "gpu"):
        of_stage = [found for job in jobs if (found := _of_stage(job, stage)) is not None]
        views["by_stage"][stage] = {"stage": stage, "jobs": of_stage}
    for job in jobs:
        _add(views["by_target"], "target", job["target"], job)
        _add(views["by_type"], "training_type", job["training_type"], job)
        _add(views["by_route"], "route", job["route"], job)
        if job["symbol"] is not None:
            _add(views["by_symbol"], "symbol", job["symbol"], job)
    views["by_route"] = {_short(route): view for route, view in views["by_route"].items()}
    return views


def _of_stage(job: Mapping[str, Any], stage: str) -> Mapping[str, Any] | None:
    """The job with a stage's fits only; the job itself when it has no others, None when it has none."""
    fits = [fit for fit in job["fits"] if fit["stage"] == stage]
    if len(fits) == len(job["fits"]):
        return job if fits else None
    return {**job, "fits": fits} if fits else None


def _add(group: dict[str, dict[str, Any]], key: str, value: str, job: Mapping[str, Any]) -> None:
    group.setdefault(value, {key: value, "jobs": []})["jobs"].append(job)


def _short(route: str) -> str:
    return route.removeprefix("ROUTE_").lower()
