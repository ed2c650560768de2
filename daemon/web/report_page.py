"""The report on a plan, to be looked at on the page or kept as a file."""

from __future__ import annotations

from fastapi import APIRouter, Response

from daemon.report.apart import NotReported, report_apart
from daemon.report.rendering import page_style
from daemon.web.guarding import policy
from daemon.web.problems import Problem
from daemon.web.site import Site


def report_page(site: Site) -> APIRouter:
    """Return the route of the report; `?keep` has the browser save it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/plans/{plan}/report")
    def report(plan: str, keep: str | None = None) -> Response:
        try:
            data = report_apart(site.reader, site.settings.database_url, plan)
        except NotReported as error:
            raise Problem(503, str(error), fix=error.fix) from error
        headers = {"Content-Security-Policy": policy(styles=[page_style()])}
        if keep is not None:
            headers["Content-Disposition"] = f'attachment; filename="report-{plan}.html"'
        return Response(data, media_type="text/html; charset=utf-8", headers=headers)

    return router
