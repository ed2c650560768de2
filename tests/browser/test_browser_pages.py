"""Every page in a real browser, light, dark and on a phone: nothing that axe or the browser minds."""

from __future__ import annotations

from pathlib import Path

import pytest
from eye import OpenEye, overflow, serious_findings
from living_site import LivingSite
from many_jobs import many_jobs
from page_words import await_connection

from store import open_store
from store.records import FitRow

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "dark", **PHONE},
}
SEEN = (
    *(
        (name, "light")
        for name in ("overview", "drawer", "fit", "plan", "plans", "events", "past", "api", "asked")
    ),
    *((name, "dark") for name in ("overview", "fit")),
    *((name, "phone") for name in ("overview", "drawer", "plan")),
)


def fit_of(site: LivingSite, state: str) -> FitRow:
    """The first fit in a state."""
    with open_store(site.database_url) as store:
        return store.reading.fits(states=(state,), limit=1)[0]


def path_of(name: str, site: LivingSite) -> str:
    """Where a page is."""
    running, plan = fit_of(site, "running"), fit_of(site, "running").plan_id
    return {
        "overview": "/",
        "drawer": f"/?fit={running.id}",
        "fit": f"/fits/{fit_of(site, 'failed').id}",
        "plan": f"/plans/{plan}",
        "plans": "/plans",
        "events": "/events",
        "past": "/?at=60",
        "api": "/api",
        "asked": "/act/cancel?q=state:ready",
    }[name]


@pytest.mark.parametrize(("name", "look"), SEEN)
def test_a_page_is_sound(eye: OpenEye, shared_site: LivingSite, name: str, look: str) -> None:
    """A page has no serious finding of axe, breaks no rule of its policy and is as wide as its window."""
    page = eye(shared_site.url, **LOOKS[look]).open(path_of(name, shared_site))
    if page.locator("body[data-lives=yes]").count():
        await_connection(page)
    assert page.locator("h1, h2").count()
    assert not serious_findings(page)
    assert overflow(page) <= 0


def test_what_is_not_there_is_said_in_a_sentence(eye: OpenEye, shared_site: LivingSite) -> None:
    """A fit that is not known is a page with a sentence and the nearest name, and no traceback."""
    watching = eye(shared_site.url)
    watching.expected = ("404",)
    name = fit_of(shared_site, "failed").name
    page = watching.open(f"/fits/{name}x")
    text = page.locator("body").inner_text()
    assert name in text
    assert "Traceback" not in text
    assert not serious_findings(page)


def test_an_empty_log_says_what_to_type(eye: OpenEye, tmp_path: Path) -> None:
    """Where nothing was planned yet the page says the line to type; a plan that comes is shown by itself."""
    site = LivingSite(tmp_path / "results")
    site.folder.mkdir()
    open_store(site.database_url).close()
    try:
        site.serve()
        page = eye(site.url).open()
        await_connection(page)
        assert "trainwright submit" in page.locator("main").inner_text()
        assert not serious_findings(page)
        plan = many_jobs(site.database_url, jobs=4)
        page.locator("#live-header", has_text=plan.id).wait_for()
        page.close()
    finally:
        site.close()
