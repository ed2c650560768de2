"""The living parts of a page as HTML, by name: what is shown first and what the stream sends when it changes.

Each part is one element with the id ``live-NAME``. No part tells an age, which the script does: so a part
changes only with what it tells of.
"""

from __future__ import annotations

from daemon.web.fit_parts import fit_parts
from daemon.web.gantt_view import gantt_part
from daemon.web.jobs_table import jobs_parts
from daemon.web.notes import notes
from daemon.web.overview_parts import header
from daemon.web.scene import Scene
from daemon.web.site import Site
from daemon.web.view import View

GANTT_SECONDS = 2.0  # how old it may be


def fragments(site: Site, view: View) -> dict[str, str]:
    """Return every living part of a view's page.

    Raises:
        Problem: the view is of a plan, fit or moment that is not there.
    """
    return parts_of(Scene(site, view))


def parts_of(scene: Scene) -> dict[str, str]:
    """Return every living part of a page that is looked at already."""
    parts = {"header": header(scene)}
    if scene.view.tab == "overview":
        parts["notes"] = notes(scene)
        parts |= jobs_parts(scene)
        parts["gantt"] = f'<div id="live-gantt">{_gantt(scene)}</div>'
    if scene.view.fit is not None:
        parts |= fit_parts(scene, scene.view.fit)
    return parts


def _gantt(scene: Scene) -> str:
    """The picture of time: the dearest part, and the one that nobody needs to the moment."""
    view = scene.view

    def draw() -> str:
        return gantt_part(scene.site, scene.reader, view, watch=scene.watch)

    if scene.past is not None:
        return draw()
    return scene.site.lately.made(("gantt", view), GANTT_SECONDS, draw)
