"""Sealing while the daemon works: in a thread of its own, so that neither fits nor plans wait for it."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from daemon.timetable import SEAL, Timetable
from store.errors import StoreError
from store.residence import NoResidence, Residence
from store.seals import keep_seals, seal_log, seals_path

SEAL_SECONDS = 60.0
CLOSING_SECONDS = 5.0
DUTY = "sealing"

log = structlog.get_logger("sealing")


class Sealer:
    """Seals the segments of the event log that are full or ended with a plan, and, at the end, the rest.

    Of several hosts on one log one seals it; every host keeps the seals beside its own results, so that the
    log has as many witnesses. What it finds wrong is logged as an error and stops nothing: `trainwright db
    verify` tells more.
    """

    def __init__(
        self,
        database_url: str,
        results_dir: Path,
        timetable: Timetable | None = None,
        *,
        residence: Residence | None = None,
    ) -> None:
        self._url, self._timetable = database_url, timetable
        self._residence = residence or NoResidence()
        self.path = seals_path(database_url, results_dir)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Be rung for regularly."""
        if self._timetable is not None:
            self._timetable.every(SEAL_SECONDS, SEAL)

    def turn(self, rang: frozenset[str]) -> None:
        """Seal what can be sealed when it is time."""
        if SEAL in rang:
            self.begin()

    def begin(self) -> None:
        """Seal what can be sealed, in the background; nothing when the last time is still at it."""
        if self._thread is None or not self._thread.is_alive():
            asked = {"ours": self._residence.has(DUTY)}
            self._thread = threading.Thread(target=self.seal, kwargs=asked, name="sealing", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Seal up to the last event, unless the background is still at it after a few seconds."""
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
            if self._thread.is_alive():
                return
        self.seal(to_head=True, ours=self._residence.has(DUTY))
        self._residence.leave(DUTY)

    def close(self) -> None:
        """Nothing: the background ends with the process."""

    def seal(self, *, to_head: bool = False, ours: bool = True) -> None:
        """Seal now, or keep what another host has sealed; never raises for what it finds."""
        try:
            if not ours:
                keep_seals(self._url, self.path)
                return
            made = seal_log(self._url, self.path, to_head=to_head)
        except StoreError as error:
            log.error("the event log was not sealed", cause=str(error), seals=str(self.path))
            return
        if made:
            log.info("sealed the event log", upto=made[-1].last_seq, seals=len(made))
