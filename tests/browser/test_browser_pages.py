"""The page in a real browser: what it shows, and that the browser has nothing to complain of."""

from __future__ import annotations

from eye import OpenEye
from living_site import LivingSite


def test_the_page_opens(eye: OpenEye, shared_site: LivingSite) -> None:
    """The overview opens without a complaint of the browser."""
    page = eye(shared_site.url).open()
    assert "Trainwright" in page.title()
