"""The hosts on a page of their own, and what may be done to each: a question first, then the deed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse

from daemon.host_changes import HostChange, at_work, drain, remove, take_back_host
from daemon.views.host_words import hosts_told
from daemon.views.hosts import host_documents
from daemon.web.access import Principal, acting, looking
from daemon.web.overview_parts import header
from daemon.web.scene import Scene
from daemon.web.shell import shown
from daemon.web.site import Site
from daemon.web.view import View

REASON = "asked for on the page"
Word = Literal["drain", "return", "remove"]
Text = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]
Switch = Annotated[bool, Form()]


def host_pages(site: Site) -> APIRouter:
    """Return the routes of the page of hosts."""
    router = APIRouter(include_in_schema=False)
    looks, acts = Depends(looking(site)), Depends(acting(site))

    @router.get("/hosts")
    def hosts(request: Request, who: Principal = looks) -> HTMLResponse:
        scene = Scene(site, View.parse(request.url.query).but(tab="hosts", plan=None))
        rows = [row for row in scene.watch.hosts if row.removed_at is None]
        told = host_documents(scene.reader, scene.watch, hosts_told(scene.reader, rows))
        values = {"hosts": told, "removed": len(scene.watch.hosts) - len(rows)}
        return shown(scene, who, "hosts.html", {"header": header(scene)}, values, path="/hosts", lives=False)

    @router.get("/act/host")
    def ask(word: Word, host: str, who: Principal = acts) -> HTMLResponse:
        row = site.reader.host(host)
        values = {"word": word, "row": row, "running": at_work(site.reader, row), "change": None}
        return _framed(site, who, values)

    @router.post("/act/host")
    def act(
        word: Annotated[Word, Form()],
        host: Text,
        reason: Text = "",
        give_back: Switch = False,
        force: Switch = False,
        who: Principal = acts,
    ) -> HTMLResponse:
        change = _done(site, word, host, reason.strip(), who.name, give_back=give_back, force=force)
        return _framed(site, who, {"word": word, "row": site.reader.host(host), "change": change})

    return router


def _done(
    site: Site, word: Word, host: str, reason: str, actor: str, *, give_back: bool, force: bool
) -> HostChange:
    """Say it to the log; raises NotFound, HostAlive."""
    with site.store() as store:
        if word == "drain":
            return drain(store, host, give_back=give_back, reason=reason, actor=actor)
        if word == "return":
            return take_back_host(store, host, reason=reason or REASON, actor=actor)
        return remove(store, host, force=force, reason=reason or REASON, actor=actor)


def _framed(site: Site, who: Principal, values: dict[str, Any]) -> HTMLResponse:
    scene = Scene(site, View())
    return shown(scene, who, "host.html", {"header": header(scene)}, values, lives=False)
