"""Pausing and resuming on the page: all work, a plan, a stage, a host; a question first, then the deed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse

from daemon.web.access import Principal, acting
from daemon.web.overview_parts import header
from daemon.web.problems import Problem
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.view import View
from store.reasons import pause_words
from store.records import PauseRow
from store.state import FINAL_STATES

REASON = "asked for on the page"
STAGES = ("cpu", "gpu")
Text = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]
Scope = dict[str, str | None]


def pausing_pages(site: Site) -> APIRouter:
    """Return the routes of pausing and resuming."""
    router = APIRouter(include_in_schema=False, prefix="/act")
    acts = Depends(acting(site))

    @router.get("/pause")
    def ask_pause(plan: str = "", stage: str = "", host: str = "", who: Principal = acts) -> HTMLResponse:
        scope = _scope(site, plan, stage, host)
        return _framed(
            site, who, "pause.html", {"word": "pause", "scope": scope, "known": _known(site, scope)}
        )

    @router.get("/resume")
    def ask_resume(plan: str = "", stage: str = "", host: str = "", who: Principal = acts) -> HTMLResponse:
        scope = _scope(site, plan, stage, host)
        return _framed(
            site, who, "pause.html", {"word": "resume", "scope": scope, "known": _known(site, scope)}
        )

    @router.post("/pause")
    def pause(
        plan: Text = "", stage: Text = "", host: Text = "", reason: Text = "", who: Principal = acts
    ) -> HTMLResponse:
        scope = _scope(site, plan, stage, host)
        with site.store() as store:
            store.pause(**scope, reason=reason.strip() or REASON, actor=who.name)
        return _told(site, who, scope)

    @router.post("/resume")
    def resume(
        plan: Text = "", stage: Text = "", host: Text = "", reason: Text = "", who: Principal = acts
    ) -> HTMLResponse:
        scope = _scope(site, plan, stage, host)
        with site.store() as store:
            store.resume(**scope, reason=reason.strip() or REASON, actor=who.name)
        return _told(site, who, scope)

    return router


def _scope(site: Site, plan: str, stage: str, host: str) -> Scope:
    """What a pause is about; raises NotFound, Problem."""
    if plan:
        site.reader.plan_row(plan)
    if stage and stage not in STAGES:
        raise Problem(400, f"there is no stage {stage!r}", fix="one of: cpu, gpu")
    return {"plan": plan or None, "stage": stage or None, "host": host or None}


def _known(site: Site, scope: Scope) -> PauseRow | None:
    for one in site.reader.pauses():
        if {"plan": one.plan, "stage": one.stage, "host": one.host} == scope:
            return one
    return None


def _told(site: Site, who: Principal, scope: Scope) -> HTMLResponse:
    """How it stands now, whoever did it."""
    known = _known(site, scope)
    rest = [pause_words(one) for one in site.reader.pauses() if one != known]
    values = {"known": None if known is None else pause_words(known), "rest": rest}
    return _framed(site, who, "paused.html", values)


def _framed(site: Site, who: Principal, template: str, values: dict[str, Any]) -> HTMLResponse:
    scene = Scene(site, View())
    running = sum(
        fits for (_, state), fits in site.reader.fit_counts().items() if state not in (*FINAL_STATES, "ready")
    )
    words = pause_words
    shared = {"running": running, "pause_words": words}
    return shown(scene, who, template, {"header": header(scene)}, shared | values, lives=False)
