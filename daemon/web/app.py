"""The application that answers requests, put together from its parts."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from daemon.settings import Settings
from daemon.web.api import api
from daemon.web.pages import pages
from daemon.web.site import HERE, Site


def create_app(settings: Settings) -> FastAPI:
    """Return the application for the log of these settings.

    Raises:
        StoreError: the log cannot be read.
    """
    site = Site(settings)
    app = FastAPI(title="Trainwright", version=version("trainwright"), docs_url=None, redoc_url=None)
    app.include_router(pages(site))
    app.include_router(api(site))
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    return app
