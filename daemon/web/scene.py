"""What one page is made from: the reader of the moment it shows, and one look at who works and what waits."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property

from daemon.views.remaining import Remaining, remaining
from daemon.views.waiting import Watch, alive_then
from daemon.web.problems import Problem
from daemon.web.site import Site
from daemon.web.view import View
from store.errors import NotFound
from store.filters import FitFilter
from store.history import Past
from store.reading import Reader
from store.records import PlanRow

REMAINING_SECONDS = 3.0  # how old an estimate may be
PLANS_SHOWN = 5  # of those that are at work, the newest


class Scene:
    """The log as a view shows it, now or then; each question is asked once."""

    def __init__(self, site: Site, view: View) -> None:
        """Find the moment that the view shows.

        Raises:
            Problem: it shows a moment that nobody can mean, or one before the first event.
        """
        self.site, self.view = site, view
        self.past: Past | None = None if view.at is None else _past(site, view.at)
        self.reader: Reader = site.reader if self.past is None else self.past.reader
        self.seq = self.past.seq if self.past else self.reader.head_seq()

    @cached_property
    def watch(self) -> Watch:
        """Who is at work and why fits wait."""
        return Watch(self.reader, is_dead=alive_then) if self.past else Watch(self.reader)

    @cached_property
    def plans(self) -> tuple[PlanRow, ...]:
        """All plans in the order of their acceptance."""
        return self.reader.plans()

    @cached_property
    def plan(self) -> PlanRow | None:
        """The plan that the view is about, None for all; raises Problem for one that nobody knows."""
        if self.view.plan is None:
            return None
        for plan in self.plans:
            if plan.id == self.view.plan:
                return plan
        raise Problem(404, f"no plan {self.view.plan!r} in the event log", fix="all plans: /plans")

    @cached_property
    def shown_plans(self) -> tuple[PlanRow, ...]:
        """The plan of the view, else the newest open ones, else the newest of all."""
        if self.plan is not None:
            return (self.plan,)
        open_ones = tuple(plan for plan in self.plans if plan.open)
        return (open_ones or self.plans[-1:])[-PLANS_SHOWN:][::-1]

    def running(self, plan: PlanRow) -> int:
        """How many fits of a plan are at work."""
        tally = self.reader.fit_tally(FitFilter(plan=plan.id, states=("claimed", "running")))
        return sum(tally.values())

    def remaining(self, plan: PlanRow) -> Remaining | None:
        """How long a plan will still take; None for one that has ended, and in the past."""
        if self.past is not None or not plan.open:
            return None
        return self.site.lately.made(
            ("remaining", plan.id),
            REMAINING_SECONDS,
            lambda: remaining(self.reader, plan.id, watch=self.watch),
        )

    @cached_property
    def last_event_at(self) -> datetime | None:
        """When the newest event was recorded; None for an empty log."""
        if self.past is not None:
            return self.past.at
        newest = self.reader.events(after=self.seq - 1, limit=1)
        return newest[0].at if newest else None


def seq_meant(reader: Reader, said: str) -> int:
    """Return the number of the last event of a moment that somebody named: a seq or a time of ISO 8601, UTC.

    Raises:
        Problem: it is neither.
    """
    if said.isascii() and said.isdigit():
        return min(int(said[:18]), reader.head_seq())
    try:
        moment = datetime.fromisoformat(said)
        return _seq_at(reader, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        fix = "name an event's number or a time such as 2026-01-31T12:30"
        raise Problem(400, f"{said[:40]!r} is no moment of the log", fix=fix) from error


def _seq_at(reader: Reader, moment: datetime) -> int:
    """The seq of the last event up to a moment, found in few questions: the log is in the order of time."""
    low, high = 0, reader.head_seq()
    while low < high:
        middle = (low + high) // 2
        if reader.events(after=middle, limit=1)[0].at <= moment:
            low = middle + 1
        else:
            high = middle
    return low


def _past(site: Site, said: str) -> Past:
    try:
        return site.past(seq_meant(site.reader, said))
    except NotFound as error:
        raise Problem(404, str(error), fix="the log begins later; leave 'at' out for the present") from error
