"""The timeline of attempts as a picture: for the page, the report and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from markupsafe import Markup

from daemon.pictures import Bar, Ghost, Lanes, gantt
from daemon.views.timeline import Segment, StageTold, Timeline
from daemon.views.words import moment, span

OUTCOMES = {"succeeded": "done", "lost": "lost or given back"}


def drawn(found: Timeline, why_waiting: Mapping[str, str] | None = None, *, links: bool = True) -> Markup:
    """Return the picture of a timeline; `why_waiting` says by stage what its fits wait for.

    With `links` each attempt leads to the page of its fit.
    """
    told = why_waiting or {}
    stages = [_stage(stage, told.get(stage.stage, ""), links=links) for stage in found.stages]
    return gantt(stages, start=found.start, end=found.end, now=found.now)


def _stage(stage: StageTold, why: str, *, links: bool) -> Lanes:
    return Lanes(
        name=stage.stage.upper(),
        lanes=[[_bar(one, links=links) for one in lane] for lane in stage.lanes],
        waiting=stage.waiting,
        waiting_words=why,
        queued=[
            Ghost(label=fit.name, title=f"{fit.name}: queued", href=_href(fit.id, links=links))
            for fit in stage.queued
        ],
        more=stage.queued_total - len(stage.queued),
    )


def _bar(one: Segment, *, links: bool) -> Bar:
    return Bar(
        label=one.name,
        start=one.start,
        end=one.end,
        kind=one.kind,
        short=one.name.rpartition("/")[2],
        title=_title(one),
        href=_href(one.fit, links=links),
        done=one.done,
    )


def _title(one: Segment) -> str:
    attempt = f", attempt {one.attempt}" if one.attempt > 1 else ""
    if one.end is None:
        done = f", {100 * one.done:.0f} % of its steps" if one.done is not None else ""
        return f"{one.name}{attempt}: running since {moment(one.start)}{done}"
    took = span((one.end - one.start).total_seconds())
    again = ", back in the queue" if one.again else ""
    return f"{one.name}{attempt}: {OUTCOMES.get(one.kind, one.kind)} after {took}{again}"


def _href(fit_id: str, *, links: bool) -> str:
    return f"/fits/{quote(fit_id)}" if links else ""
