"""The process that tells a tracking server of every fit that ends, and dies with its daemon.

``python -m daemon.tracking_process PARENT_PID [--config FILE]``. What has happened is in the log, so nothing
is kept beside it but how far it has come; a server that was down is told all of it once it is back.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from daemon.cli.configuration import settings_for
from daemon.cursor import Cursor, open_cursor
from daemon.elsewhere import settle
from daemon.errors import DaemonError
from daemon.logs import configure_logs, take_in_other_logs
from daemon.mlflow_runs import MlflowRuns, NotTracked
from daemon.settings import Settings
from daemon.tracked_runs import TrackedRun, run_of
from daemon.tracking import ENDS, tracking_duty, tracking_path
from executors.confinement import die_with_parent
from store.errors import StoreError
from store.plan_store import PlanStore, open_store

NICENESS = 10  # fits come first
LOOK_SECONDS = 1.0  # between two questions whether a fit has ended
WAIT_SECONDS, WAIT_SECONDS_MAX = 1.0, 300.0  # before a run is tried again: doubled each time
TRIES_REFUSED = 5  # of a run that the server took offence at
PAGE = 200
FAILED = 1

log = structlog.get_logger("tracking")


class Runs(Protocol):
    """Where runs go."""

    def put(self, run: TrackedRun) -> str:
        """Write a run whole and return its id there; raises NotTracked."""


class Tracker:
    """Brings every fit that ends to the server, in the order of the log, each at least once."""

    def __init__(self, store: PlanStore, cursor: Cursor, runs: Runs) -> None:
        self._store, self._cursor, self._runs = store, cursor, runs
        self.ending = threading.Event()

    def run(self) -> None:
        """Follow the log until told to end; then what is left is tried once."""
        while not self.ending.is_set():
            self._take_a_turn()
            self.ending.wait(LOOK_SECONDS)
        self._take_a_turn()

    def turn(self) -> bool:
        """Tell of what has ended since; False when the end came before all of it was told.

        Raises:
            StoreError: the log does not answer.
        """
        cursor, head = self._cursor, self._store.head_seq()
        while cursor.seq < head:
            page = self._store.events(after=cursor.seq, kinds=ENDS, limit=PAGE)
            for event in page:
                run = run_of(self._store.reading, event.fit or "")
                if run is not None and not self.carry(run):
                    return False
                cursor.seq = event.seq
                if run is not None:
                    cursor.save(self._store)
            if len(page) < PAGE:
                cursor.seq = max(head, cursor.seq)
        return True

    def carry(self, run: TrackedRun) -> bool:
        """Bring one run over, however often it takes; False when the end came before it arrived."""
        tries, wait = 0, WAIT_SECONDS
        while True:
            tries += 1
            try:
                at = self._runs.put(run)
            except NotTracked as error:
                log.warning("a fit was not tracked", fit=run.name, cause=str(error), tries=tries)
                if error.refused and tries >= TRIES_REFUSED:
                    log.error("a fit is left untracked: the server refuses it", fit=run.name, tries=tries)
                    return True
            else:
                log.info("a fit was tracked", fit=run.name, run=at, status=run.status)
                return True
            if self.ending.wait(wait):
                return False
            wait = min(2 * wait, WAIT_SECONDS_MAX)

    def _take_a_turn(self) -> None:
        try:
            self.turn()
        except StoreError as error:
            log.warning("the event log does not answer; trying again", cause=str(error))


def track(settings: Settings) -> None:
    """Track until SIGTERM; a server that is new to the log is told of the whole of it.

    Raises:
        StoreError: the event log cannot be read.
    """
    if settings.mlflow_uri is None:
        return
    settle(lambda: settings)
    with open_store(settings.database_url, create=False, migrate=False) as store:
        cursor = open_cursor(tracking_duty(settings), store, begin=0, file=tracking_path(settings))
        runs = MlflowRuns(settings.mlflow_uri, settings.mlflow_experiment)
        tracker = Tracker(store, cursor, runs)
        signal.signal(signal.SIGTERM, lambda *_: tracker.ending.set())
        tracker.run()
        cursor.save(store)


def run(arguments: Sequence[str]) -> int:
    """Do what the words say, and return the exit code."""
    reading = argparse.ArgumentParser(prog="daemon.tracking_process")
    reading.add_argument("parent", type=int)
    reading.add_argument("--config", type=Path)
    asked = reading.parse_args(arguments)
    die_with_parent(asked.parent)
    with suppress(OSError):  # a sandbox may forbid it
        os.nice(NICENESS)
    configure_logs()
    take_in_other_logs()
    try:
        track(settings_for(asked.config))
    except (DaemonError, StoreError) as error:
        log.error("fits cannot be tracked", cause=" ".join(str(error).split()))
        return FAILED
    return 0


if __name__ == "__main__":
    ended = run(sys.argv[1:])
    sys.stderr.flush()
    os._exit(ended)  # all is noted; to take down what MLflow loaded would keep a stop waiting
