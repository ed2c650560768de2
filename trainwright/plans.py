"""A plan: how it stands, its fits and jobs, and waiting for its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import pictures
from daemon.errors import DaemonError
from daemon.views.filters import parse_filter
from daemon.views.plan_drawn import ranking_drawn, routes_drawn
from daemon.views.plan_told import known_plan
from daemon.views.remaining import remaining
from daemon.views.words import counted, counts_words, moment
from store.reading import Reader
from store.records import PlanRow
from trainwright.fits import FITS, Fit
from trainwright.jobs import Job, jobs_table
from trainwright.tables import Column, Table, facts_html, facts_text

LOOK_SECONDS = 0.2


class StillOpen(DaemonError):
    """A plan did not end in the time that was given."""

    exit_code = 75

    def __init__(self, plan: Plan, seconds: float) -> None:
        self.plan = plan
        super().__init__(
            f"plan {plan.id} has not ended within {seconds:g} s: {plan.progress}",
            fix="wait longer; what is trained goes on meanwhile where a daemon is at work",
        )


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A plan as it stood when it was asked for; `row` has all of it."""

    reader: Reader
    row: PlanRow

    @property
    def id(self) -> str:
        """Its identity: the hash of its content."""
        return self.row.id

    @property
    def name(self) -> str:
        """What it was called when it was accepted."""
        return self.row.name

    @property
    def accepted_at(self) -> datetime:
        """When it was accepted."""
        return self.row.accepted_at

    @property
    def is_open(self) -> bool:
        """Whether some of its fits have not ended."""
        return self.row.open > 0

    @property
    def progress(self) -> str:
        """How its fits stand: ``31 done, 2 failed, 9 open``."""
        row = self.row
        return counts_words(
            succeeded=row.succeeded,
            failed=row.failed,
            unavailable=row.unavailable,
            cancelled=row.cancelled,
            still_open=row.open,
        )

    @property
    def remaining_seconds(self) -> float | None:
        """How long it will still take, guessed from what fits have taken; None where nothing is known."""
        return remaining(self.reader, self.id).seconds

    def refresh(self) -> Plan:
        """Return the plan as it stands now."""
        return Plan(self.reader, self.reader.plan_row(self.id))

    def fits(self, where: str = "") -> Table[Fit]:
        """Return its fits, those that a filter means: ``state:failed family:lstm target:y_*``.

        Raises:
            FilterInvalid: the filter cannot be read.
        """
        rows = self.reader.fits_where(parse_filter(where, plan=self.id))
        return Table(tuple(Fit(self.reader, row) for row in rows), FITS, "fit")

    def jobs(self, where: str = "") -> Table[Job]:
        """Return its jobs with the fits that a filter means.

        Raises:
            FilterInvalid: the filter cannot be read.
        """
        return jobs_table(self.fits(where))

    def document(self) -> dict[str, Any]:
        """Return the master plan, whole, as it was accepted."""
        return dict(self.reader.plan(self.id).document)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report on it, one HTML file to send to a colleague, and return where it lies.

        Without a path that is ``report-PLAN.html`` in the working directory.

        Raises:
            OSError: the file cannot be written.
        """
        from daemon.report import report_html  # noqa: PLC0415 (what it reads takes half a second to load)

        place = Path(path) if path is not None else Path(f"report-{self.id}.html")
        place.write_text(report_html(self.reader, self.id), encoding="utf-8")
        return place

    def wait(self, timeout: float | None = None, *, rest: Callable[[float], object] = time.sleep) -> Plan:
        """Return the plan once all its fits have ended; looks, and trains nothing itself.

        Raises:
            StillOpen: that took longer than `timeout` seconds.
        """
        begun, seen = time.monotonic(), -1
        plan = self
        while True:
            if (head := self.reader.head_seq()) != seen:
                seen, plan = head, self.refresh()
            if not plan.is_open:
                return plan
            if timeout is not None and time.monotonic() - begun >= timeout:
                raise StillOpen(plan, timeout)
            rest(LOOK_SECONDS)

    def __repr__(self) -> str:
        return facts_text(f"plan {self.id}", self._facts())

    def _repr_html_(self) -> str:
        """What a notebook shows: how it stands, its targets by rank, and their way to jobs."""
        told = known_plan(self.reader, self.id)
        drawn = (ranking_drawn(told.targets), routes_drawn(told, links=False))
        return facts_html(f"plan {self.id}", self._facts(), *(pictures.standalone(one) for one in drawn))

    def _facts(self) -> list[tuple[str, str]]:
        row = self.row
        return [
            ("name", row.name),
            ("holds", f"{counted(row.fits, 'fit')} of {counted(row.jobs, 'job')}: {self.progress}"),
            ("accepted", moment(row.accepted_at)),
            ("completed", moment(row.completed_at)),
        ]


PLANS: tuple[Column[Plan], ...] = (
    Column(name="plan", value=lambda plan: plan.id),
    Column(name="name", value=lambda plan: plan.name),
    Column(name="state", value=lambda plan: plan.row.state),
    Column(name="jobs", value=lambda plan: plan.row.jobs, right=True),
    Column(name="fits", value=lambda plan: plan.row.fits, right=True),
    Column(name="succeeded", value=lambda plan: plan.row.succeeded, right=True),
    Column(name="failed", value=lambda plan: plan.row.failed, right=True),
    Column(name="unavailable", value=lambda plan: plan.row.unavailable, shown=False),
    Column(name="cancelled", value=lambda plan: plan.row.cancelled, shown=False),
    Column(name="open", value=lambda plan: plan.row.open, right=True),
    Column(name="accepted_at", value=lambda plan: plan.accepted_at),
    Column(name="completed_at", value=lambda plan: plan.row.completed_at),
)
