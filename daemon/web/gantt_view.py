"""The Gantt of the page: the newest attempts in lanes of their stage, or those of a part of the past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from daemon.views.timeline import Timeline, timeline
from daemon.views.timeline_drawn import drawn
from daemon.views.waiting import Watch
from daemon.views.words import iso, span
from daemon.web.scene import seq_meant
from daemon.web.site import Site
from daemon.web.view import View
from store.reading import Reader

SHOWN = 160  # attempts: a picture of more could neither be read nor sent often
PATH = "/"
YEARS = range(1970, 2200)  # of a log; windows around others would leave what a calendar can say


def gantt_part(
    site: Site, reader: Reader, view: View, *, watch: Watch | None = None, path: str = PATH
) -> Markup:
    """Return the picture of a view with its links through time; `reader` reads the moment of the view.

    Args:
        site: the log as it is.
        reader: the states as they are, or as they were.
        view: which plan, and from when to when.
        watch: a look at what waits; without one the picture does not say why.
        path: of the page that the links lead to.

    Raises:
        Problem: the view shows a moment that nobody can mean.
    """
    start, end = moment_said(view.start), moment_said(view.end)
    if start is not None and end is not None and end <= start:
        start = end = None
    until = None if view.at is None else seq_meant(site.reader, view.at)
    found = timeline(site.reader, then=reader, until=until, plan=view.plan, start=start, end=end, limit=SHOWN)
    values = {
        "picture": drawn(found, _waiting(reader, watch, view)) if found else Markup(""),
        "told": found,
        "window": span((found.end - found.start).total_seconds()) if found else "",
        "links": _links(found, view, path) if found else {},
    }
    return Markup(site.page("parts/gantt.html", values))  # noqa: S704 - the template escaped it


def moment_said(said: str | None) -> datetime | None:
    """Return the moment of an address, in ISO 8601, UTC unless it says otherwise; None for anything else."""
    if not said:
        return None
    try:
        moment = datetime.fromisoformat(said.replace(" ", "+"))  # a plus of an address that nobody escaped
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in YEARS else None


def _waiting(reader: Reader, watch: Watch | None, view: View) -> Mapping[str, str]:
    """By stage what most of its waiting fits wait for."""
    if watch is None:
        return {}
    plans = [plan for plan in reader.plans() if view.plan in (None, plan.id)]
    found: dict[str, str] = {}
    for group in watch.groups(plans):
        found.setdefault(group.stage, f"{group.code}: {group.words}")
    return found


def _links(found: Timeline, view: View, path: str) -> dict[str, str]:
    """Where the buttons of the picture lead: back, forth, more, less, the newest."""
    whole = found.end - found.start
    links = {}
    if found.before is not None:
        links["earlier"] = _window(view, path, found.before - whole, found.before)
    if view.end:
        links["later"] = _window(view, path, found.end, found.end + whole)
    if found.shown:
        links["closer"] = _window(view, path, found.end - whole / 3, found.end)
    if found.before is not None or view.start:
        links["wider"] = _window(view, path, found.end - whole * 3, found.end)
    if view.start or view.end:
        links["newest"] = view.link(path, start=None, end=None)
    return links


def _window(view: View, path: str, start: datetime, end: datetime) -> str:
    step = timedelta(milliseconds=1)
    return view.link(path, start=_told(start, step), end=_told(end, step))


def _told(moment: datetime, step: timedelta) -> str:
    """A moment in an address, to the millisecond."""
    return iso(moment - (moment - datetime.fromtimestamp(0, UTC)) % step) or ""
