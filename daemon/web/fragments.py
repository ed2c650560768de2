"""The living parts of a page as HTML, by name: what is shown first and what the stream sends when it changes.

Each part is one element with the id ``live-NAME``. No part tells an age, which the script does: so a part
changes only with what it tells of.
"""

from __future__ import annotations

from daemon.web.fit_parts import fit_parts
from daemon.web.gantt_view import gantt_part
from daemon.web.jobs_table import jobs_parts
from daemon.web.overview_parts import header, notes
from daemon.web.scene import Scene
from daemon.web.site import Site
from daemon.web.view import View


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
        picture = gantt_part(scene.site, scene.reader, scene.view, watch=scene.watch)
        parts["gantt"] = f'<div id="live-gantt">{picture}</div>'
    if scene.view.fit is not None:
        parts |= fit_parts(scene, scene.view.fit)
    return parts
