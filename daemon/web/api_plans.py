"""The API's questions about plans: what was accepted, what is left, how two of them differ."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter, Response

from daemon.views.plan_compared import compared
from daemon.views.plan_told import (
    features_document,
    known_plan,
    leaks_document,
    routes_document,
    targets_document,
)
from daemon.views.remaining import remaining
from daemon.web import api_models
from daemon.web.api_answers import Limit, Offset, PlanId, answer, told
from daemon.web.site import Site
from store.filters import FitFilter
from store.records import PlanRow


def plan_document(plan: PlanRow) -> dict[str, Any]:
    """Return a plan for programs, with the count of its open fits."""
    return dataclasses.asdict(plan) | {"open": plan.open}


def plan_routes(site: Site) -> APIRouter:
    """Return the routes about plans."""
    router = APIRouter(prefix="/plans", tags=["plans"])

    @router.get("", responses=told(api_models.Plans))
    def plans() -> Response:
        """All plans in the order of their acceptance."""
        return answer({"plans": [plan_document(plan) for plan in site.reader.plans()]})

    @router.get("/{plan}", responses=told(api_models.PlanWhole))
    def one_plan(plan: PlanId) -> Response:
        """One plan with the counts of its fits, and how long it will still take."""
        row = site.reader.plan_row(plan)
        left = dataclasses.asdict(remaining(site.reader, row.id))
        counts = site.reader.fit_tally(FitFilter(plan=row.id))
        return answer({"plan": plan_document(row), "remaining": left, "counts": counts})

    @router.get("/{plan}/remaining", responses=told(api_models.RemainingDocument))
    def left(plan: PlanId) -> Response:
        """How long a plan will still take: an estimate."""
        row = site.reader.plan_row(plan)
        return answer({"remaining": dataclasses.asdict(remaining(site.reader, row.id))})

    @router.get("/{plan}/jobs", responses=told(api_models.Jobs))
    def jobs(plan: PlanId, offset: Offset = 0, limit: Limit = 100) -> Response:
        """The jobs of a plan as its document has them, in plan order."""
        row = site.reader.plan_row(plan)
        page = site.reader.jobs(row.id, offset=offset, limit=limit)
        more = offset + len(page) < row.jobs
        return answer({"jobs": [dataclasses.asdict(job) for job in page], "more": more, "total": row.jobs})

    @router.get("/{plan}/document", responses=told(api_models.PlanDocument))
    def document(plan: PlanId) -> Response:
        """The master plan as it was accepted; posted again it is the same plan."""
        return answer({"plan": dict(site.reader.plan(plan).document)})

    @router.get("/{plan}/diff/{other}", responses=told(api_models.Difference))
    def diff(plan: PlanId, other: PlanId) -> Response:
        """How another plan differs from this one: jobs, routes, settings, with the numbers that moved."""
        return answer(compared(site.reader, plan, other).document())

    _decided_routes(router, site)
    return router


def _decided_routes(router: APIRouter, site: Site) -> None:
    """Add what was decided on the way to a plan."""

    @router.get("/{plan}/targets", responses=told(api_models.Targets))
    def targets(plan: PlanId) -> Response:
        """Every target that was looked at: its rank and scores, or why it was left out."""
        return answer(targets_document(known_plan(site.reader, plan)))

    @router.get("/{plan}/leaks", responses=told(api_models.Leaks))
    def leaks(plan: PlanId) -> Response:
        """The features that were found to know the future, by which probe, on what evidence."""
        return answer(leaks_document(known_plan(site.reader, plan)))

    @router.get("/{plan}/features", responses=told(api_models.Features))
    def features(plan: PlanId) -> Response:
        """The features that were selected for each target."""
        return answer(features_document(known_plan(site.reader, plan)))

    @router.get("/{plan}/routes", responses=told(api_models.Routes))
    def routes(plan: PlanId) -> Response:
        """The route of each target and symbol, and why."""
        return answer(routes_document(known_plan(site.reader, plan)))
