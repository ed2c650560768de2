"""procrastinate with ten jobs at the same time and no notifications, until the queue is empty.

https://procrastinate.readthedocs.io
"""

from __future__ import annotations

import asyncio
import sys
import time

from procrastinate import App, PsycopgConnector
from words import Runs, answer


class Procrastinate:
    """One worker."""

    def __init__(self, url: str) -> None:
        self._url = url

    def install(self) -> None:
        """Make the tables."""
        asyncio.run(self._install())

    def fill(self, jobs: int) -> None:
        """Put jobs into the queue in one call."""
        asyncio.run(self._fill(jobs))

    def go(self, runs: Runs) -> float:
        """Drain the queue."""
        return asyncio.run(self._drain(runs))

    def _app(self, runs: Runs) -> App:
        app = App(connector=PsycopgConnector(conninfo=self._url))

        @app.task(name="noop")
        async def noop() -> None:
            runs.one()

        return app

    async def _install(self) -> None:
        async with self._app(Runs()).open_async() as app:
            await app.schema_manager.apply_schema_async()

    async def _fill(self, jobs: int) -> None:
        async with self._app(Runs()).open_async() as app:
            await app.configure_task("noop").batch_defer_async(*[{}] * jobs)

    async def _drain(self, runs: Runs) -> float:
        async with self._app(runs).open_async() as app:
            begun = time.monotonic()
            await app.run_worker_async(
                wait=False, concurrency=10, listen_notify=False, install_signal_handlers=False
            )
        return begun


answer(Procrastinate(sys.argv[1]))
