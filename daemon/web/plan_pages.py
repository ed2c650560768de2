"""The pages of plans: all of them, one with its targets, leaks, features and routes, one target of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from daemon.web.access import Principal, looking
from daemon.web.fragments import parts_of
from daemon.web.plan_view import plan_values, standing, target_values
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.view import View

PLANS = 100  # on one page
NAME_MAX = 400


def plan_pages(site: Site) -> APIRouter:
    """Return the routes of the pages of plans."""
    router = APIRouter(include_in_schema=False)
    looks = Depends(looking(site))

    @router.get("/plans")
    def plans(request: Request, who: Principal = looks) -> HTMLResponse:
        scene = Scene(site, View.parse(request.url.query).but(tab="plan", plan=None))
        rows = scene.plans[::-1]
        offset = min(scene.view.offset, max(0, len(rows) - 1) // PLANS * PLANS)
        values = {
            "standing": standing,
            "rows": rows[offset : offset + PLANS],
            "total": len(rows),
            "offset": offset,
            "step": PLANS,
            "inbox": site.settings.inbox_dir,
        }
        return shown(scene, who, "plans.html", parts_of(scene), values, path="/plans")

    @router.get("/plans/{plan_id}")
    def plan(
        plan_id: str,
        request: Request,
        who: Principal = looks,
        target: Annotated[str | None, Query(max_length=NAME_MAX)] = None,
        against: Annotated[str | None, Query(max_length=NAME_MAX)] = None,
    ) -> HTMLResponse:
        scene = Scene(site, View.parse(request.url.query).but(tab="plan", plan=plan_id))
        row = scene.plan
        assert row is not None  # noqa: S101 - the view names one, and a plan nobody knows is a problem
        path = f"/plans/{row.id}"
        if target:
            values = target_values(scene, row, target)
            return shown(scene, who, "plan_target.html", parts_of(scene), values, path=path)
        return shown(scene, who, "plan.html", parts_of(scene), plan_values(scene, row, against), path=path)

    return router
