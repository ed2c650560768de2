"""Whether all is well, for programs that watch: `/healthz` of this process, `/readyz` of log and daemons."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from daemon.views.waiting import Watch
from daemon.web.site import Site
from store.errors import StoreError

HEALTH_PATH, READY_PATH = "/healthz", "/readyz"


def health(site: Site) -> APIRouter:
    """Return the routes of both; they tell nothing that needs a token."""
    router = APIRouter(include_in_schema=False)

    @router.get(HEALTH_PATH)
    async def is_up() -> Response:  # also while all threads wait for a log that does not answer
        return JSONResponse({"status": "ok"})

    @router.get(READY_PATH)
    def is_ready() -> Response:
        reasons = problems(site)
        status = "not ready" if reasons else "ready"
        return JSONResponse({"status": status, "reasons": reasons}, status_code=503 if reasons else 200)

    return router


def problems(site: Site) -> list[str]:
    """Return why nothing would be trained now; nothing when a plan would be."""
    try:
        site.require_log()
        watch = Watch(site.reader)
    except StoreError:
        return ["the event log does not answer, or is of another version"]
    return [] if watch.workers else ["no daemon is at work"]
