"""The REST API: the words of the command line over HTTP, with the same documents, and its description."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from daemon.web.api_actions import action_routes
from daemon.web.api_description import PREFIX, Description
from daemon.web.api_events import event_routes
from daemon.web.api_fits import fit_routes
from daemon.web.api_hosts import host_routes
from daemon.web.api_looking import looking_routes
from daemon.web.api_naming import naming_routes
from daemon.web.api_pauses import pause_routes
from daemon.web.api_plans import plan_routes
from daemon.web.api_submitting import submitting_routes
from daemon.web.site import Site

__all__ = ["PREFIX", "api"]
_PARTS = (
    looking_routes,
    plan_routes,
    fit_routes,
    event_routes,
    action_routes,
    pause_routes,
    host_routes,
    naming_routes,
    submitting_routes,
)


def api(site: Site) -> APIRouter:
    """Return the routes of the API."""
    router = APIRouter(prefix=PREFIX)
    for part in _PARTS:
        router.include_router(part(site))

    known = Description(needs_token=bool(site.tokens))

    @router.get("/openapi.json", include_in_schema=False)
    def description(request: Request) -> Response:
        """The description of all this by OpenAPI."""
        return JSONResponse(known.of(request.app.routes))

    return router
