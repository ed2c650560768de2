"""The Gantt on the page: its bars, its way through time, the past, and any address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from page_client import Ask
from page_reader import Page

from daemon.settings import Settings
from daemon.web.gantt_view import gantt_part, moment_said
from daemon.web.scene import Scene
from daemon.web.site import Site
from daemon.web.view import View
from store.reading import Reader, open_reader


@pytest.fixture
def site(asking: Ask) -> Site:
    """The page's site."""
    found: Site = asking().app.state.site  # type: ignore[attr-defined]
    return found


@pytest.fixture
def reader(web_settings: Settings) -> Iterator[Reader]:
    with open_reader(web_settings.database_url) as opened:
        yield opened


def part(site: Site, view: View) -> Page:
    """The part of a view, which is whole."""
    scene = Scene(site, view)
    return Page(f"<div>{gantt_part(site, scene.reader, view, watch=scene.watch)}</div>")


def bars(page: Page) -> set[str]:
    return {link for link in page.links if link.startswith("/fits/")}


def test_the_bars_lead_to_the_fits_that_were_begun(site: Site, reader: Reader) -> None:
    """Every fit that ran, runs or is next leads to its page; each stage has its lanes and its waiting."""
    page = part(site, View())
    begun = {f"/fits/{event.fit}" for event in reader.events(kinds=("FitClaimed",))}
    assert begun <= bars(page)
    text = page.one("svg").text
    assert {"CPU", "GPU", "waiting", "now"} <= set(text.split()) | {
        word for word in ("waiting", "now") if word in text
    }
    assert "WaitingForCpuStage" in text or "wait" in text


def test_the_links_lead_closer_and_back(site: Site) -> None:
    """Looking closer shows a shorter time; the newest is one link away again."""
    first = part(site, View())
    closer = View.parse(
        next(link for link in first.links if "from=" in link).partition("?")[2].partition("#")[0]
    )
    assert closer.start is not None
    assert closer.end is not None
    second = part(site, closer)
    assert bars(second) <= bars(first)
    assert any(link.startswith("/#") for link in second.links)
    words = second.one("p", class_="pic-links").text.split()
    assert {"earlier", "later", "closer", "wider", "newest"} <= set(words)


def test_in_the_past_the_picture_is_as_it_was(site: Site, reader: Reader) -> None:
    """Behind the first claim only the fits that were begun then have bars."""
    claims = reader.events(kinds=("FitClaimed",))
    page = part(site, View(at=str(claims[0].seq)))
    started = {f"/fits/{claims[0].fit}"}
    assert started <= bars(page)
    later = {f"/fits/{event.fit}" for event in claims[20:]}
    running = {a.attributes["href"] for a in page.all("a") if a.text and "running since" in a.text}
    assert running == started
    assert not later & running


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05 02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_moment_in_an_address_is_read_or_counts_as_none(said: str, meant: datetime | None) -> None:
    """A time of ISO 8601 is taken, with or without an offset; anything else is as if nobody had said it."""
    assert moment_said(said) == meant


@pytest.mark.parametrize(
    "query", ["?from=x&to=y", "?from=2030-01-01&to=2020-01-01", "?from=9999-12-31T23:59:59", "?to=0001-01-01"]
)
def test_no_address_breaks_the_page(asking: Ask, query: str) -> None:
    """Senseless, backward and far-off windows give a page, not an error."""
    client: TestClient = asking(headers={"accept": "text/html"})
    answer = client.get(f"/{query}")
    assert answer.status_code == 200
    assert Page(answer.text).one("div", id="live-gantt")
