"""dbos: a queue of workflows without a limit, polled every 10 ms by a launched process.

https://docs.dbos.dev
"""

from __future__ import annotations

import os
import sys
import time

import psycopg
from dbos import DBOS, DBOSClient
from words import Runs, answer

LOOK_SECONDS = 0.05
OPEN = "SELECT COUNT(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"


class Dbos:
    """One worker."""

    def __init__(self, url: str) -> None:
        self._plain = url
        self._url = url.replace("postgresql://", "postgresql+psycopg://")

    def install(self) -> None:
        """Make the tables."""
        self._launch(Runs())
        DBOS.destroy()

    def fill(self, jobs: int) -> None:
        """Put jobs into the queue."""
        client = DBOSClient(system_database_url=self._url)
        options = {"workflow_name": "noop", "queue_name": "bench", "app_version": "1"}
        for _ in range(jobs):
            client.enqueue(options)
        client.destroy()

    def go(self, runs: Runs) -> float:
        """Be launched until no workflow is open anywhere."""
        self._launch(runs)
        begun = time.monotonic()
        with psycopg.connect(self._plain, autocommit=True) as watch:
            while (watch.execute(OPEN).fetchone() or (0,))[0]:
                time.sleep(LOOK_SECONDS)
        DBOS.destroy()
        return begun

    def _launch(self, runs: Runs) -> None:
        DBOS.destroy(destroy_registry=True)
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self._url,
                "application_version": "1",
                "executor_id": f"worker-{os.getpid()}",
                "log_level": "ERROR",
            }
        )

        @DBOS.workflow(name="noop")
        def noop() -> None:
            runs.one()

        DBOS.launch()
        DBOS.register_queue("bench", polling_interval_sec=0.01)


answer(Dbos(sys.argv[1]))
