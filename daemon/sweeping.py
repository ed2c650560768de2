"""What lies here of fits that ended elsewhere: their states are swept away, for nobody needs them any more.

A fit that was given back, or taken over, and that another host finished leaves what it had saved on this
host's disk. The host that finishes a fit sweeps its own place; this is about all others.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import structlog

from daemon.host import Host
from daemon.settings import Settings
from daemon.workplace import Workplace
from store.plan_store import PlanStore
from store.reading import Reader

SWEEP = "sweep"
SWEEP_SECONDS = 60.0
AT_ONCE_MAX = 5  # of a turn, which waits for it

log = structlog.get_logger("sweeping")


class Sweeping:
    """Looks every minute through the work directories of this host."""

    def __init__(self, settings: Settings, store: PlanStore, host: Host) -> None:
        self._place, self._store, self._host = Workplace.of(settings), store, host

    def start(self) -> None:
        """Be rung for regularly; what lies there at the start is swept before (daemon.reconciling)."""
        self._host.timetable.every(SWEEP_SECONDS, SWEEP)

    def turn(self, rang: frozenset[str]) -> None:
        """Sweep when it is time. Raises StoreError."""
        if SWEEP in rang:
            self.sweep()

    def stop(self) -> None:
        """Nothing: what is left is swept at the next start."""

    def close(self) -> None:
        """Nothing is held."""

    def sweep(self) -> int:
        """Remove a few of the places that nobody needs; returns how many. Raises StoreError."""
        claims = [runner.claim for runner in self._host.dispatcher.running]
        running = {claim.fit_id for claim in claims if claim is not None}
        return sweep_finished(self._place, self._store.reading, but=running)


def sweep_finished(place: Workplace, reading: Reader, *, but: Collection[str] = ()) -> int:
    """Remove a few of the work directories that nobody needs; returns how many. Raises StoreError."""
    swept = 0
    for path in finished_work(place, reading, but=but):
        if swept == AT_ONCE_MAX:
            break
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):  # other fits of the plan still have places there
            path.parent.rmdir()
        log.info("swept the states of a fit that ended elsewhere", plan=path.parent.name, fit=path.name)
        swept += 1
    return swept


def finished_work(place: Workplace, reading: Reader, *, but: Collection[str] = ()) -> Iterator[Path]:
    """Yield the work directories of fits that have succeeded, except some: nobody needs their states."""
    for plan_dir in inside(place.work_dir):
        works = {path.name: path for path in inside(plan_dir) if path.name not in but}
        for fit_id, state in reading.states(list(works)).items():
            if state == "succeeded":
                yield works[fit_id]


def inside(folder: Path) -> list[Path]:
    """Return what lies in a folder; nothing when it is gone, or is none."""
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []
