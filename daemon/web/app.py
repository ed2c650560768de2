"""The application that answers requests, put together from its parts."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from daemon.settings import Settings
from daemon.web.access import looking
from daemon.web.api import api
from daemon.web.listening import Listening
from daemon.web.pages import pages
from daemon.web.site import HERE, Site
from daemon.web.stream import stream


def create_app(settings: Settings, *, where: Collection[Listening] = ()) -> FastAPI:
    """Return the application for the log of these settings; `where` it listens, by default as they say.

    Raises:
        SettingsInvalid: others could reach it without a token, or a token cannot be used.
        StoreError: the log cannot be read.
    """
    site = Site(settings, where=where)
    app = FastAPI(
        title="Trainwright",
        version=version("trainwright"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.site = site
    for part in (pages(site), api(site), stream(site)):
        app.include_router(part, dependencies=[Depends(looking(site))])
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    return app
