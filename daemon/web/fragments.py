"""The living parts of a page as HTML, by name: what is shown first and what the stream sends when it changes.

Each part is one element with the id ``live-NAME``.
"""

from __future__ import annotations

from daemon.views.waiting import Watch
from daemon.web.site import Site
from daemon.web.view import View


def fragments(site: Site, view: View) -> dict[str, str]:
    """Return every living part of a view's page."""
    watch = Watch(site.reader)
    values = {"view": view, "watch": watch, "plans": site.reader.plans()}
    return {"header": site.page("parts/header.html", values)}
