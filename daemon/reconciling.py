"""What a former daemon left behind, put in order before a new one says that it is ready.

Its processes are ended, its leases taken back, and what it wrote by half is swept away. Only what certainly
belongs to nobody goes: states of fits stay until their fit has succeeded, and what the log does not know is
left alone, for it may be another log's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from daemon.dispatcher import output_of
from daemon.identity import Identity
from daemon.leftovers import end_leftovers
from daemon.rescuer import Rescuer
from daemon.sweeping import finished_work
from daemon.workplace import Workplace
from store.plan_store import PlanStore
from store.state import LEASED_STATES

log = structlog.get_logger("reconciling")

_DRAFT = re.compile(r"\.(?P<name>.+)\.draft-(?P<fence>\d+)")  # of a bundle: executors.durable
_BESIDE = re.compile(r"\..+\.\d+\.tmp")  # of a file of metrics: daemon.runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """How much was found: processes ended, fits taken back with what they lost, places swept."""

    processes: int = 0
    fits: int = 0
    lost_seconds: float = 0.0
    swept: int = 0

    @property
    def words(self) -> str:
        """What was done, as a line; empty when there was nothing."""
        told = {
            f"fits taken back: {self.fits}, {self.lost_seconds:.0f} s of work lost": self.fits,
            f"processes ended: {self.processes}": self.processes,
            f"half-written places swept: {self.swept}": self.swept,
        }
        return "; ".join(words for words, count in told.items() if count)


class Reconciling:
    """Puts in order what a former daemon of this host left; every step can be repeated, or broken off."""

    def __init__(self, store: PlanStore, place: Workplace, here: Identity, rescuer: Rescuer) -> None:
        self._store, self._place, self._here, self._rescuer = store, place, here, rescuer

    def run(
        self, *, began_at: float, since: datetime | None = None, going_on: Callable[[], bool] = lambda: True
    ) -> Reconciled:
        """Do all of it.

        Args:
            began_at: when this daemon began, in seconds since the epoch; what is younger is somebody's.
            since: when the daemon before it began; plans that had ended by then were swept by it.
            going_on: asked now and then; False breaks it off.

        Raises:
            DatabaseUnavailable: the event log does not answer; the same again later.
        """
        processes = end_leftovers(self._here)
        rescued = self._rescuer.begin()
        swept = 0
        for path in (*self._drafts(began_at, since), *finished_work(self._place, self._store.reading)):
            if not going_on():
                break
            swept += _remove(path)
        done = Reconciled(
            processes=len(processes),
            fits=len(rescued),
            lost_seconds=sum(one.lost_seconds for one in rescued),
            swept=swept,
        )
        if done.words:
            log.info("put in order what was left", words=done.words)
        return done

    def _drafts(self, began_at: float, since: datetime | None) -> Iterator[Path]:
        """Yield what was written by half in the outputs of plans; what somebody writes now is left alone."""
        leased = self._leased_bundles()
        for row in self._store.reading.plans():
            folder = self._place.output_dir / output_of(row.data, row.id)
            if since is not None and row.completed_at is not None and row.completed_at < since:
                continue
            for path in (*folder.glob("models/*/.*"), *folder.glob("metrics/*/.*")):
                draft = _DRAFT.fullmatch(path.name)
                if draft is not None and (path.with_name(draft["name"]), int(draft["fence"])) in leased:
                    continue
                if (draft or _BESIDE.fullmatch(path.name)) and _changed_at(path) < began_at:
                    yield path

    def _leased_bundles(self) -> set[tuple[Path, int]]:
        """Where the fits that run now will write their bundles, each with its fence."""
        found = set()
        reading = self._store.reading
        outputs = {row.id: output_of(row.data, row.id) for row in reading.plans()}
        fits = reading.fits(states=tuple(LEASED_STATES))
        fences = reading.fences([fit.id for fit in fits])
        for fit in fits:
            places = self._place.fit_places(
                output=outputs[fit.plan_id],
                plan_id=fit.plan_id,
                fit_id=fit.id,
                job_id=fit.job_id,
                family=fit.family,
                attempt=fit.attempt,
            )
            found.add((places.bundle, fences.get(fit.id, 0)))
        return found


def _changed_at(path: Path) -> float:
    """Return when a file or directory was changed last, never where it cannot be told."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")


def _remove(path: Path) -> bool:
    """Remove a file or directory; whether there was one to be removed."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        log.warning("not swept away", path=str(path), cause=str(error))
        return False
    return True
