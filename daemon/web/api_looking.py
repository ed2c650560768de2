"""The API's questions about everything: status, hosts, pauses, families, models, schedule, decisions, why."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from daemon.views.explaining import why, why_document
from daemon.views.families import catalogue
from daemon.views.host_words import hosts_told
from daemon.views.hosts import host_documents
from daemon.views.overview import look, overview_document
from daemon.views.schedules import schedule_document, schedule_rows
from daemon.views.trained import model_summary
from daemon.views.waiting import Watch
from daemon.web import api_models
from daemon.web.api_answers import (
    NAME,
    NAME_LENGTH_MAX,
    After,
    At,
    Limit,
    Name,
    Offset,
    OfPlan,
    answer,
    told,
)
from daemon.web.scene import Scene
from daemon.web.site import Site
from daemon.web.view import View
from store.filters import FitFilter
from store.reasons import pause_words
from store.records import PauseRow

Target = Annotated[
    str | None, Query(description="only of this target", pattern=NAME, max_length=NAME_LENGTH_MAX)
]
Removed = Annotated[bool, Query(description="those that were removed too")]
Feature = Annotated[
    str | None,
    Query(description="what became of this feature of it", pattern=NAME, max_length=NAME_LENGTH_MAX),
]


def as_of(scene: Scene) -> dict[str, Any]:
    """Return where in the past a scene is, for a document; nothing of the present."""
    return {} if scene.past is None else {"as_of": {"seq": scene.past.seq, "at": scene.past.at}}


def pause_document(pause: PauseRow) -> dict[str, Any]:
    """Return a pause for programs, with its sentence."""
    return dataclasses.asdict(pause) | {"words": pause_words(pause)}


def looking_routes(site: Site) -> APIRouter:
    """Return the routes that only look."""
    router = APIRouter(tags=["look"])

    @router.get("/status", responses=told(api_models.Status))
    def status(at: At = None) -> Response:
        """How everything stands: plans, what runs, what failed, what waits for what."""
        scene = Scene(site, View(at=at))
        found = look(scene.reader, past=scene.past is not None)
        return answer(as_of(scene) | overview_document(found))

    @router.get("/hosts", responses=told(api_models.Hosts))
    def hosts(removed: Removed = False) -> Response:
        """The hosts that work on this log: how each stands, what it has and does, its pauses."""
        watch = Watch(site.reader)
        rows = [row for row in watch.hosts if removed or row.removed_at is None]
        found = host_documents(site.reader, watch, hosts_told(site.reader, rows))
        return answer({"at": watch.now, "hosts": found, "removed": len(watch.hosts) - len(rows)})

    @router.get("/pauses", responses=told(api_models.Pauses))
    def pauses() -> Response:
        """What is not started now, by whom and why."""
        return answer({"pauses": [pause_document(pause) for pause in site.reader.pauses()]})

    @router.get("/families", responses=told(api_models.Families))
    def families() -> Response:
        """The 20 model families: whether they are usable here, what they cost and reached."""
        return answer(catalogue(site.reader.fits(states=("succeeded",))).document)

    @router.get("/models", responses=told(api_models.Models))
    def models(
        plan: OfPlan = None, target: Target = None, offset: Offset = 0, limit: Limit = 100
    ) -> Response:
        """The models with their out-of-sample scores, newest first; `*` in a target stands for anything."""
        if plan is not None:
            site.reader.plan_row(plan)
        where = FitFilter(plan=plan, states=("succeeded",), targets=() if target is None else (target,))
        page = site.reader.fit_page(where, order="newest", offset=offset, limit=limit)
        told_of = [model_summary(fit) for fit in page.rows]
        more = offset + len(page.rows) < page.total
        return answer({"models": told_of, "more": more, "total": page.total})

    @router.get("/schedule", responses=told(api_models.Schedule))
    def schedule() -> Response:
        """What the daemon does at certain times, when next, and how the last run ended."""
        return answer(schedule_document(schedule_rows(site.settings, site.reader)))

    @router.get("/decisions", responses=told(api_models.Decisions))
    def decisions(target: Target = None, after: After = 0, limit: Limit = 100) -> Response:
        """What planners decided about targets: ranks, leaks, features, routes."""
        found = site.reader.decisions(target, after=after, limit=limit)
        following = found[-1].seq if len(found) == limit else None
        return answer({"decisions": [dataclasses.asdict(one) for one in found], "next": following})

    @router.get("/why/{name:path}", responses=told(api_models.Why))
    def why_of(name: Name, feature: Feature = None) -> Response:
        """Why it is as it is: a fit, a job, a target, or a feature of a target (`TARGET/FEATURE`)."""
        return answer(why_document(why(site.reader, name, feature=feature)))

    return router
