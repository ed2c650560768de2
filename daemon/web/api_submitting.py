"""Plans handed over by the API: they go the drop folder's road, and the daemon's receipt comes back."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from daemon.handing_over import (
    LOOK_SECONDS,
    Receipt,
    drop_text,
    find_receipt,
    is_at_work,
    wait_for_receipt,
)
from daemon.web import api_models
from daemon.web.access import acting
from daemon.web.api_answers import ACTS, answer, told
from daemon.web.problems import Problem
from daemon.web.site import Site

NAME = "api"
DROPPED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LOOKED_INTO_BYTES_MAX = 4_194_304  # of a plan; as objects it takes thirty times that, which the judge limits
WAIT_SECONDS = 10.0
WAIT_SECONDS_MAX = 60.0
Wait = Annotated[
    float, Query(description="for the daemon's receipt", ge=0, le=WAIT_SECONDS_MAX, examples=[WAIT_SECONDS])
]
DroppedName = Annotated[
    str, InPath(pattern=rf"^{DROPPED.pattern}$", max_length=200, examples=["api-5f1e22c0"])
]
_BODY = {
    "requestBody": {
        "required": True,
        "description": "a master training plan, as in globals/training_plan/master_training_plan.json",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def submitting_routes(site: Site) -> APIRouter:
    """Return the routes that hand plans over."""
    router = APIRouter(tags=["act"])
    receipts = {
        **told(api_models.ReceiptDocument, problems=ACTS),
        201: {"model": api_models.ReceiptDocument, "description": "Accepted, and new."},
        202: {"model": api_models.ReceiptDocument, "description": "Handed over; nobody has answered yet."},
    }

    @router.post("/plans", responses=receipts, openapi_extra=_BODY, dependencies=[Depends(acting(site))])
    async def submit(
        request: Request, body: Annotated[bytes, Depends(_body)], wait_seconds: Wait = WAIT_SECONDS
    ) -> Response:
        """Hand a plan over to the daemon; the same plan again is the same plan. 200: it was there already."""
        dropped = await run_in_threadpool(_dropped, site, body)
        if not await run_in_threadpool(is_at_work, site.reader):
            return _unanswered(dropped.name, "no daemon is at work; it is taken when one starts")
        until, hub = time.monotonic() + wait_seconds, request.app.state.hub
        found = await _received(dropped, lambda: hub.closed or time.monotonic() > until)
        return _answer(found, dropped.name)

    @router.get("/receipts/{name}", responses=receipts)
    def receipt(name: DroppedName) -> Response:
        """What became of a plan that was handed over under this name."""
        inbox = site.settings.inbox_dir
        found = find_receipt(inbox, name)
        if found is None and not (inbox / name).exists():
            raise Problem(
                404, f"nothing was handed over as {name!r}", fix="the answer to POST plans names it"
            )
        return _answer(found, name)

    return router


async def _body(request: Request) -> bytes:
    return await request.body()


def _dropped(site: Site, body: bytes) -> Path:
    _require_plan(body)
    return drop_text(body, site.settings.inbox_dir, name=NAME)


async def _received(dropped: Path, is_late: Callable[[], bool]) -> Receipt | None:
    """The daemon's receipt, None when it is late; who waits holds none of the threads that answer others."""
    while True:
        found = await run_in_threadpool(wait_for_receipt, dropped, is_late=lambda: True)
        if found is not None or is_late():
            return found
        await asyncio.sleep(LOOK_SECONDS)


def _require_plan(body: bytes) -> None:
    """Raise Problem for what is no JSON object; what is wrong inside of it the daemon says."""
    fix = "send a master training plan as JSON, see /api"
    if len(body) > LOOKED_INTO_BYTES_MAX:
        is_object = body[:1000].lstrip().startswith(b"{")
    else:
        try:
            is_object = isinstance(json.loads(body, parse_constant=_no_number), dict)
        except (ValueError, RecursionError) as error:
            what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Problem(422, f"the plan is no JSON: {what}"[:300], fix=fix) from error
    if not is_object:
        raise Problem(422, "the plan is no JSON object", fix=fix)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _answer(found: Receipt | None, name: str) -> Response:
    if found is None:
        return _unanswered(name, "the daemon has not answered yet")
    sentence = found.lines[0] if found.lines else ""
    left_out = list(found.document.get("left_out", ()))
    document = {
        "accepted": found.accepted, "new": found.new, "plan": found.plan, "sentence": sentence,
        "left_out": left_out, "name": name,
    }  # fmt: skip
    if found.accepted:
        return answer(document, status=201 if found.new else 200)
    fix = str(found.document.get("fix", ""))
    problem = Problem(422, f"rejected: {sentence}", fix=fix or "correct the plan and send it again")
    return JSONResponse(problem.document | document, status_code=422, media_type="application/problem+json")


def _unanswered(name: str, sentence: str) -> Response:
    return answer(
        {"accepted": None, "new": None, "plan": None, "sentence": sentence, "left_out": [], "name": name},
        status=202,
    )
