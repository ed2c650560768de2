"""pgqueuer as its documentation says a fast worker runs: draining over asyncpg with ``batch_size=100``.

https://pgqueuer.readthedocs.io
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode
from words import Runs, answer

BATCH = 100


class Pgqueuer:
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

    async def _install(self) -> None:
        connection = await asyncpg.connect(self._url)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    async def _fill(self, jobs: int) -> None:
        connection = await asyncpg.connect(self._url)
        await Queries(AsyncpgDriver(connection)).enqueue(["noop"] * jobs, [None] * jobs, [0] * jobs)
        await connection.close()

    async def _drain(self, runs: Runs) -> float:
        connection = await asyncpg.connect(self._url)
        work = QueueManager(Queries(AsyncpgDriver(connection)))

        @work.entrypoint("noop")
        async def noop(_job: object) -> None:
            runs.one()

        begun = time.monotonic()
        await work.run(batch_size=BATCH, mode=QueueExecutionMode.drain)
        await connection.close()
        return begun


answer(Pgqueuer(sys.argv[1]))
