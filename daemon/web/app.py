"""The application that answers requests, put together from its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware

from daemon.settings import Settings
from daemon.web.access import looking
from daemon.web.answers import answer_errors
from daemon.web.api import api
from daemon.web.api_pages import api_pages
from daemon.web.assets import assets
from daemon.web.counting import Counts
from daemon.web.fragments import fragments
from daemon.web.guarding import Guard
from daemon.web.health import health
from daemon.web.hub import Hub
from daemon.web.listening import Listening, require_token
from daemon.web.metrics import metrics
from daemon.web.news import News
from daemon.web.pages import pages
from daemon.web.plan_pages import plan_pages
from daemon.web.report_page import report_page
from daemon.web.signing_in import signing_in
from daemon.web.site import Site
from daemon.web.stream import stream

GZIP_BYTES_MIN, GZIP_LEVEL = 1024, 4


def create_app(settings: Settings, *, where: Collection[Listening] = ()) -> FastAPI:
    """Return the application for the log of these settings; `where` it listens, by default as they say.

    Raises:
        SettingsInvalid: others could reach it without a token, or a token cannot be used.
        StoreError: the log cannot be read.
    """
    site = Site(settings, where=where)
    require_token(settings, site.where)
    registry = CollectorRegistry()
    counts = Counts(registry)
    hub = Hub(News(site.reader), partial(fragments, site), rendered=counts.renderings.inc)
    counts.streams.set_function(lambda: hub.count)
    app = FastAPI(
        title="Trainwright",
        version=version("trainwright"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # the API describes itself
        lifespan=_lifespan(hub),
    )
    app.state.site, app.state.hub = site, hub
    for part in (
        pages(site),
        plan_pages(site),
        report_page(site),
        api(site),
        api_pages(site),
        stream(hub),
        metrics(site, registry),
    ):
        app.include_router(part, dependencies=[Depends(looking(site))])
    for part in (signing_in(site), assets(site.assets), health(site)):
        app.include_router(part)
    answer_errors(app, site)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN, compresslevel=GZIP_LEVEL)
    app.add_middleware(Guard, site=site, counting=counts)
    return app


def _lifespan(hub: Hub) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await hub.finish()

    return lifespan
