"""Jobs: what is learnt, with how its fits stand and which is best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.views.fits import OPEN_STATES, score_words
from daemon.views.words import counts_words, route_words
from trainwright.fits import FITS, Fit, number_of
from trainwright.tables import Column, Table


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """One job of a plan with those of its fits that were asked for."""

    id: str
    plan: str
    target: str
    symbol: str | None
    route: str
    priority: int
    members: tuple[Fit, ...]

    @property
    def fits(self) -> Table[Fit]:
        """Its fits, in plan order."""
        return Table(self.members, FITS, "fit")

    @property
    def best(self) -> Fit | None:
        """The fit of the most skill on the rows no step before has seen, None while no model is there."""
        scored = [(number_of(fit.row, "skill"), fit) for fit in self.members]
        known = [(skill, fit) for skill, fit in scored if skill is not None]
        return max(known, key=lambda pair: pair[0])[1] if known else None

    def count(self, *states: str) -> int:
        """How many of its fits are in one of these states."""
        return sum(fit.state in states for fit in self.members)

    @property
    def progress(self) -> str:
        """How its fits stand: ``2 done, 1 failed``."""
        return counts_words(
            succeeded=self.count("succeeded"),
            failed=self.count("failed"),
            unavailable=self.count("unavailable"),
            cancelled=self.count("cancelled"),
            still_open=self.count(*OPEN_STATES),
        )

    def __repr__(self) -> str:
        return f"job {self.id}: {self.progress}"

    def _repr_html_(self) -> str:
        """What a notebook shows: its fits."""
        return self.fits._repr_html_()


JOBS: tuple[Column[Job], ...] = (
    Column(name="job", value=lambda job: job.id),
    Column(name="target", value=lambda job: job.target),
    Column(name="symbol", value=lambda job: job.symbol),
    Column(name="route", value=lambda job: job.route, words=lambda job: route_words(job.route)),
    Column(name="priority", value=lambda job: job.priority, right=True),
    Column(name="fits", value=lambda job: len(job.members), words=lambda job: job.progress),
    Column(name="succeeded", value=lambda job: job.count("succeeded"), shown=False),
    Column(name="failed", value=lambda job: job.count("failed"), shown=False),
    Column(name="open", value=lambda job: job.count(*OPEN_STATES), shown=False),
    Column(name="best", value=lambda job: job.best and job.best.family),
    Column(
        name="score",
        value=lambda job: job.best and job.best.score,
        words=lambda job: score_words(job.best.row) if job.best else "-",
    ),
    Column(name="plan", value=lambda job: job.plan, shown=False),
)


def jobs_table(fits: Iterable[Fit]) -> Table[Job]:
    """Return the jobs of these fits, in the order of their first one."""
    groups: dict[tuple[str, str], list[Fit]] = {}
    for fit in fits:
        groups.setdefault((fit.plan, fit.row.job_id), []).append(fit)
    jobs = tuple(
        Job(
            id=job_id,
            plan=plan,
            target=own[0].target,
            symbol=own[0].symbol,
            route=own[0].row.route,
            priority=own[0].row.priority,
            members=tuple(own),
        )
        for (plan, job_id), own in groups.items()
    )
    return Table(jobs, JOBS, "job")
