"""The pages, made on the server."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from daemon.web.site import Site


def pages(site: Site) -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/", response_class=HTMLResponse)
    def overview() -> str:
        return site.page("base.html", {})

    return router
