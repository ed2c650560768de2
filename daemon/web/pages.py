"""The pages that people look at, made on the server."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from daemon.views.attempt_logs import log_of
from daemon.web.access import Principal, looking
from daemon.web.acting_pages import acting_pages
from daemon.web.fragments import parts_of
from daemon.web.host_pages import host_pages
from daemon.web.jobs_table import table_body
from daemon.web.overview_parts import newest_events
from daemon.web.pausing_pages import pausing_pages
from daemon.web.problems import Problem
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.ticker import Ticker
from daemon.web.view import View
from store.events import EVENT_TYPES

EVENTS_PAGE = 200


def pages(site: Site) -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(include_in_schema=False)
    looks = Depends(looking(site))

    @router.get("/")
    def overview(request: Request, who: Principal = looks) -> HTMLResponse:
        scene = Scene(site, View.parse(request.url.query).but(tab="overview"))
        parts = parts_of(scene)
        values = {
            "body": table_body(parts),
            "events": newest_events(scene),
            "plans": scene.plans,
            "inbox": site.settings.inbox_dir,
        }
        return shown(scene, who, "overview.html", parts, values)

    @router.get("/fits/{name:path}/log")
    def whole_log(name: str, attempt: Annotated[int | None, Query(ge=1, le=1_000_000)] = None) -> Response:
        found = log_of(site.reader, name, attempt)
        filename = f"{found.fit.id}-{found.attempt.attempt}.log"
        return FileResponse(found.path, media_type="text/plain; charset=utf-8", filename=filename)

    @router.get("/fits/{name:path}")
    def fit(name: str, request: Request, who: Principal = looks) -> HTMLResponse:
        found = site.reader.fit(name)
        view = View.parse(request.url.query).but(tab="fit", fit=found.id, plan=found.plan_id)
        scene = Scene(site, view)
        values = {"fit": scene.reader.fit(found.id)}
        return shown(scene, who, "fit.html", parts_of(scene), values, path=f"/fits/{found.id}")

    @router.get("/events")
    def events(
        request: Request,
        who: Principal = looks,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        kind: Annotated[str, Query(max_length=40)] = "",
    ) -> HTMLResponse:
        scene = Scene(site, View.parse(request.url.query).but(tab="events"))
        return _events(scene, who, before, kind)

    router.include_router(pausing_pages(site))
    router.include_router(host_pages(site))
    router.include_router(acting_pages(site))
    return router


def _events(scene: Scene, who: Principal, before: int | None, kind: str) -> HTMLResponse:
    """A page of the log itself, the newest first."""
    kinds = [one.kind for one in EVENT_TYPES]
    if kind and kind not in kinds:
        raise Problem(400, f"there is no event {kind!r}", fix=f"known are: {', '.join(kinds)}")
    until = min(scene.seq, before - 1) if before else scene.seq
    plan = None if scene.plan is None else scene.plan.id
    named = (kind,) if kind else kinds
    found = scene.site.reader.newest_events(named, until=until, plan=plan, limit=EVENTS_PAGE)
    told = Ticker(scene.site.reader).told(reversed(found))
    values = {"events": told, "kinds": kinds, "kind": kind, "more": len(found) == EVENTS_PAGE}
    return shown(scene, who, "events.html", parts_of(scene), values, path="/events", lives=before is None)
