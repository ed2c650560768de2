"""The web process at work: sockets, application and server, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from daemon.settings import Settings
from daemon.web.app import create_app
from daemon.web.binding import bound, taken_over
from daemon.web.listening import listening_at, listening_on, require_token

THREADS = 8  # that answer requests; each has a connection to the log
GOODBYE_SECONDS = 3  # for answers that are under way when it is told to stop


def serve_pages(
    settings: Settings, *, descriptors: Sequence[int] = (), told: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGTERM or SIGINT, on sockets that were handed over or where the settings say.

    `told` hears each address once it can be reached.

    Raises:
        SettingsInvalid: others could reach it without a token, or a token cannot be used.
        PlaceTaken: it cannot listen there.
        StoreError: the event log cannot be read.
    """
    place = listening_at(settings.web_listen)
    if not descriptors:
        require_token(settings, (place,))
    sockets = list(taken_over(descriptors)) or [bound(place)]
    where = [listening_on(one) for one in sockets]
    try:
        app = create_app(settings, where=where)
        Server(app, [one.words for one in where], told).run(sockets=sockets)
    finally:
        for one in sockets:
            one.close()
        if not descriptors and place.path is not None:
            Path(place.path).unlink(missing_ok=True)


class Server(uvicorn.Server):
    """A server that tells when it can be reached, and ends the streams when it is told to stop."""

    def __init__(self, app: FastAPI, places: Sequence[str], told: Callable[[str], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=GOODBYE_SECONDS,
            )
        )
        self._app, self._places, self._told = app, places, told
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer, and say so."""
        self._loop = asyncio.get_running_loop()
        current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets=sockets)
        if self.started:
            for place in self._places:
                self._told(place)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear a signal: the streams end, so that nobody waits for them."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._app.state.hub.close)
        super().handle_exit(sig, frame)
