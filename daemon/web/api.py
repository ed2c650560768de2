"""The REST API: the words of the command line over HTTP, with the same documents."""

from __future__ import annotations

from fastapi import APIRouter, Response

from daemon.views.documents import document_text
from daemon.views.overview import look, overview_document
from daemon.web.site import Site

PREFIX = "/api/v1"


def api(site: Site) -> APIRouter:
    """Return the routes of the API."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/status")
    def status() -> Response:
        """How everything stands."""
        text = document_text(overview_document(look(site.reader)), indent=None)
        return Response(text, media_type="application/json")

    return router
