"""The API's questions about fits: pages of them, and all that is known of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from daemon.views.attempt_logs import TAIL_LINES, log_of, tail
from daemon.views.curves import curve_of
from daemon.views.explaining import why, why_document
from daemon.views.filters import parse_filter
from daemon.views.fits import fit_document
from daemon.views.models import model_of
from daemon.views.waiting import Watch
from daemon.web import api_models
from daemon.web.api_answers import (
    At,
    AttemptNumber,
    FitId,
    Limit,
    Name,
    Offset,
    OfPlan,
    answer,
    told,
)
from daemon.web.api_looking import as_of
from daemon.web.problems import Problem
from daemon.web.scene import Scene
from daemon.web.site import Site
from daemon.web.view import View
from store.filters import Order
from store.records import FitRow

TEXT = "text/plain; charset=utf-8"
FilterText = Annotated[
    str,
    Query(
        alias="q",
        description="a filter: state:failed family:lstm target:y_* symbol:AAPL stage:gpu held words",
        max_length=2000,
        examples=["state:open stage:gpu"],
    ),
]
Sorted = Annotated[Order, Query(description="urgency: what somebody should look at comes first")]
Lines = Annotated[int, Query(description="of its end", ge=1, le=100_000)]
Whole = Annotated[bool, Query(description="the whole log, to be kept as a file")]
_LOG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The log."}
}


def fit_routes(site: Site) -> APIRouter:
    """Return the routes about fits."""
    router = APIRouter(tags=["fits"])

    @router.get("/fits", responses=told(api_models.Fits))
    def fits(
        q: FilterText = "",
        plan: OfPlan = None,
        order: Sorted = "plan",
        offset: Offset = 0,
        limit: Limit = 100,
        at: At = None,
    ) -> Response:
        """One page of the fits that a filter means, with the reason why each waits, and the counts of all."""
        scene = Scene(site, View(at=at))
        if plan is not None:
            scene.reader.plan_row(plan)
        page = scene.reader.fit_page(parse_filter(q, plan=plan), order=order, offset=offset, limit=limit)
        reasons = scene.watch.reasons(page.rows)
        return answer(
            as_of(scene)
            | {
                "fits": [fit_document(fit, reasons.get(fit.id)) for fit in page.rows],
                "more": offset + len(page.rows) < page.total,
                "total": page.total,
                "counts": page.counts,
            }
        )

    @router.get("/jobs/{name:path}", responses=told(api_models.FitsWhole))
    def job(name: Name) -> Response:
        """All about the fits of a job of the newest plan that has it, or about one fit, by its name."""
        found = site.reader.fits(job=name)
        newest = tuple(fit for fit in found if fit.plan_id == found[-1].plan_id)
        return answer({"fits": _whole(site, newest or (site.reader.fit(name),))})

    @router.get("/fits/{fit}", responses=told(api_models.FitsWhole))
    def one_fit(fit: FitId) -> Response:
        """All about one fit: its state, its reason, its attempts."""
        return answer({"fits": _whole(site, (site.reader.fit(fit),))})

    _parts(router, site)
    return router


def _parts(router: APIRouter, site: Site) -> None:
    """Add what else is known of one fit."""

    @router.get("/fits/{fit}/attempts", responses=told(api_models.Attempts))
    def attempts(fit: FitId) -> Response:
        """Every try at a fit: where it ran, from which step it went on, how it ended."""
        found = site.reader.attempts(site.reader.fit(fit).id)
        return answer({"attempts": [dataclasses.asdict(one) for one in found]})

    @router.get("/fits/{fit}/curve", responses=told(api_models.CurveDocument))
    def curve(fit: FitId, attempt: AttemptNumber = None) -> Response:
        """The learning curve of a fit, of its whole road or of one attempt; at most 300 points."""
        return answer({"curve": curve_of(site.reader, site.reader.fit(fit).id, attempt).document})

    @router.get("/fits/{fit}/model", responses=told(api_models.ModelDocument))
    def model(fit: FitId) -> Response:
        """What its bundle says: card, evaluation, importances, files; `problem` where it is damaged."""
        row = site.reader.fit(fit)
        found = model_of(row)
        if found is None:
            raise Problem(
                404, f"{row.name} has no model: it is {row.state}", fix=f"/api/v1/why/{row.id} says why"
            )
        return answer({"model": found.document})

    @router.get("/fits/{fit}/why", responses=told(api_models.Why))
    def why_fit(fit: FitId) -> Response:
        """Why a fit runs, waits or failed, and why its target is trained as it is."""
        return answer(why_document(why(site.reader, site.reader.fit(fit).name)))

    @router.get("/fits/{fit}/log", response_class=Response, responses=_log_told())
    def log(
        fit: FitId, attempt: AttemptNumber = None, lines: Lines = TAIL_LINES, whole: Whole = False
    ) -> Response:
        """The end of the log of an attempt as plain text, or the whole of it."""
        found = log_of(site.reader, fit, attempt)
        if whole:
            filename = f"{found.fit.id}-{found.attempt.attempt}.log"
            return FileResponse(found.path, media_type=TEXT, filename=filename)
        return Response(tail(found.path, lines=lines, bytes_max=lines * 1000), media_type=TEXT)


def _whole(site: Site, fits: Sequence[FitRow]) -> list[dict[str, Any]]:
    reasons = Watch(site.reader).reasons(fits)
    return [
        fit_document(fit, reasons.get(fit.id))
        | {"attempts": [dataclasses.asdict(one) for one in site.reader.attempts(fit.id)]}
        for fit in fits
    ]


def _log_told() -> dict[int | str, dict[str, Any]]:
    return {**told(api_models.Document), **_LOG}
