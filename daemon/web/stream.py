"""The stream: a page hears of each event once, and of what has changed on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from daemon.web.hub import Hub, Listener
from daemon.web.messages import OPENING
from daemon.web.problems import Problem
from daemon.web.view import View

PATH = "/stream"
STREAMS_MAX = 500
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def stream(hub: Hub) -> APIRouter:
    """Return the route of the stream."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    async def listen(request: Request) -> Response:
        view = View.parse(request.query_params)
        if view.at is not None:
            return Response(status_code=204)  # the past does not change: a browser asks no more
        if hub.closed or hub.count >= STREAMS_MAX:
            raise Problem(503, "too many pages listen at the moment", fix="close some of them")
        said = request.headers.get("last-event-id") or request.query_params.get("after")
        listener = hub.join(view, place_of(said))
        return StreamingResponse(messages(hub, listener), media_type="text/event-stream", headers=HEADERS)

    return router


def place_of(said: str | None) -> int | None:
    """Return the seq that a page says it has; None where it says none that can be."""
    if said is None or not said.isascii() or not said.isdigit() or len(said) > 18:
        return None
    return int(said)


async def messages(hub: Hub, listener: Listener) -> AsyncIterator[bytes]:
    """Yield what is sent to one page until it goes or the hub is closed."""
    try:
        yield OPENING
        while not hub.closed:
            await listener.woken.wait()
            yield listener.take()
    finally:
        hub.leave(listener)
