"""How errors are told: to programs as a problem document, to people as a page with the same sentence.

What nobody foresaw is logged whole and told without its inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from daemon.errors import DaemonError
from daemon.web.access import is_for_programs
from daemon.web.guarding import SECURITY_HEADERS
from daemon.web.problems import Problem
from daemon.web.site import Site
from executors.errors import ExecutorsError
from panel.errors import PanelError
from planner.errors import PlannerError
from store.errors import (
    DatabaseUnavailable,
    DatabaseUnsafe,
    HostAlive,
    NotAlone,
    NotFound,
    PlanRejected,
    SchemaBehind,
    StoreError,
    WrongState,
)

EXPECTED: tuple[type[Exception], ...] = (StoreError, DaemonError, PlannerError, ExecutorsError, PanelError)
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (PlanRejected, 422),
    (WrongState, 409),
    (HostAlive, 409),
    (NotAlone, 503),
    (DatabaseUnavailable, 503),
    (DatabaseUnsafe, 503),
    (SchemaBehind, 503),
)
DEFECT = "something is wrong in the page itself; the host's log has the whole of it"
_CODES = {2: 422, 3: 422, 4: 404, 5: 503, 75: 503}  # exit code of an error of ours -> status


def answer_errors(app: FastAPI, site: Site) -> None:
    """Have every error that a route raises told by this module."""

    def answer(request: Request, error: Exception) -> Response:
        response = _answer(site, request, problem_of(error))
        response.headers.update(getattr(error, "headers", None) or {})  # such as what a 405 would allow
        return response

    for kind in (Problem, HTTPException, RequestValidationError, *EXPECTED, Exception):
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> Problem:
    """Return what is said of an error; of one that nobody foresaw nothing but that."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, _sentence_of(error))
    if isinstance(error, RequestValidationError):
        return Problem(422, _wrong(error.errors()), fix="see /api for what this takes")
    if isinstance(error, NotFound):
        near = error.nearest
        fix = f"did you mean {near}?" if near else ""
        return Problem(404, f"no {error.noun} {error.name!r} in the event log", fix=fix, nearest=near)
    if isinstance(error, PlanRejected):
        place = f"{error.place}: " if error.place else ""
        return Problem(422, f"plan rejected: {place}{error.sentence}", fix=error.fix)
    if isinstance(error, DatabaseUnavailable):
        return Problem(503, "the event log does not answer", fix="it is asked again with the next request")
    if isinstance(error, EXPECTED):
        what = str(getattr(error, "what", "") or getattr(error, "sentence", "") or error)
        near = getattr(error, "nearest", None)
        return Problem(_status_of(error), what, fix=str(getattr(error, "fix", "")), nearest=near)
    return Problem(500, DEFECT)


def _status_of(error: Exception) -> int:
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    return _CODES.get(getattr(error, "exit_code", 3), 422)


def _sentence_of(error: HTTPException) -> str:
    words = {404: "there is nothing at this address", 405: "this address does not take that"}
    return words.get(error.status_code, str(error.detail))


def _wrong(errors: Sequence[Any]) -> str:
    """Return the first thing that is wrong with what a request says, and where."""
    first = errors[0] if errors else {}
    place = ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path"))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{f'{place}: ' if place else ''}{first.get('msg', 'it is not valid')}{more}"


def _answer(site: Site, request: Request, problem: Problem) -> Response:
    headers = dict(SECURITY_HEADERS)  # what ends beyond the guard carries them too
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="trainwright"'
    if problem.status == 503:
        headers["retry-after"] = "5"
    if is_for_programs(request) or "text/html" not in request.headers.get("accept", "text/html"):
        return JSONResponse(
            problem.document,
            status_code=problem.status,
            headers=headers,
            media_type="application/problem+json",
        )
    name = "sign_in.html" if problem.signs_in else "problem.html"
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    values = {"problem": problem, "target": target if request.method == "GET" else "/", "wrong": ""}
    return HTMLResponse(site.page(name, values), status_code=problem.status, headers=headers)
