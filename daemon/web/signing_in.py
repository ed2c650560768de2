"""Signing in: a browser gives the token once and gets a cookie that no script can read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.web.access import COOKIE
from daemon.web.problems import Problem
from daemon.web.site import Site
from daemon.web.tokens import SESSION_SECONDS

PATH, OUT_PATH = "/sign-in", "/sign-out"


def signing_in(site: Site) -> APIRouter:
    """Return the routes of signing in and out."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    def ask(target: str = "/") -> Response:
        if not site.tokens:
            return RedirectResponse("/", status_code=303)
        return HTMLResponse(_page(site, target, wrong=""))

    @router.post(PATH)
    def take(
        request: Request, token: Annotated[str, Form()] = "", target: Annotated[str, Form()] = "/"
    ) -> Response:
        role = site.tokens.role_of(token.strip())
        if role is None:
            return HTMLResponse(_page(site, target, wrong="This is no token of this host."), status_code=401)
        answer = RedirectResponse(own_target(target), status_code=303)
        answer.set_cookie(
            COOKIE,
            site.tokens.session(role),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post(OUT_PATH)
    def leave() -> Response:
        answer = RedirectResponse(PATH if site.tokens else "/", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def own_target(target: str) -> str:
    """Return where to go behind the sign-in: a path of ours, never another site's."""
    is_ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_ours else "/"


def _page(site: Site, target: str, *, wrong: str) -> str:
    problem = Problem(401, "this page is shown to those who have a token", signs_in=True)
    return site.page("sign_in.html", {"problem": problem, "target": own_target(target), "wrong": wrong})
