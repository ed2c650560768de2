"""The living page: what happens is seen without a reload, and no event is missed or told twice."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pytest
from eye import OpenEye
from living_site import LivingSite
from page_words import await_connection, await_event, await_state, is_marked, mark, row, told_events
from playwright.sync_api import Page
from reporting import LONG, figure

from store import PlanStore, open_store
from store.records import FitRow

NETWORK = "net::ERR_"  # what a browser says of a server that is gone
# When each event came to stand in the list, by the browser's clock, in milliseconds of the epoch.
WATCH_EVENTS = """() => {
  window.shown = {};
  const look = () => {
    const now = performance.timeOrigin + performance.now();
    for (const one of document.querySelectorAll('#ticker [data-event]')) {
      window.shown[one.dataset.event] ??= now;
    }
  };
  look();
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


@pytest.fixture
def store(site: LivingSite) -> Iterator[PlanStore]:
    """The log behind the page, to write into as a host would."""
    with open_store(site.database_url) as opened:
        yield opened


def waiting(store: PlanStore) -> list[FitRow]:
    """The fits that wait and are not held."""
    return [fit for fit in store.reading.fits(states=("ready",)) if fit.held is None]


def opened_live(eye: OpenEye, site: LivingSite, *expected: str) -> Page:
    """A page that is kept up to date, with a mark that a reload would wipe out.

    What is `expected` is part of complaints that the test brings about.
    """
    watching = eye(site.url)
    watching.expected = expected
    page = watching.open()
    await_connection(page)
    mark(page)
    return page


def test_what_happens_is_seen_without_a_reload(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """A fit that is cancelled says so in its row, in the counts and in the list of events."""
    page = opened_live(eye, site)
    fit = waiting(store)[0]
    before = page.locator(".chips", has_text="cancelled").count()
    seq = store.cancel(fit.id, reason="seen at once")
    await_event(page, seq)
    await_state(page, fit.id, "cancelled")
    page.locator("#live-header .counts", has_text="2 cancelled").wait_for()
    assert before
    assert "seen at once" in page.locator(f"#ticker [data-event='{seq}']").inner_text()
    assert is_marked(page)


def test_what_a_person_is_about_to_do_stays(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """While the page changes, what is typed, chosen and opened stays, and so does the focus."""
    page = opened_live(eye, site)
    fits = waiting(store)
    kept = fits[1].id
    row(page, kept).locator("input[type=checkbox]").check()
    page.locator("#q").click()
    page.keyboard.type("state:fai")
    await_event(page, store.hold(fits[0].id, reason="another one"))
    await_state(page, fits[0].id, "held")
    await_event(page, store.hold(kept, reason="the chosen one"))
    await_state(page, kept, "held")
    page.keyboard.type("led")
    assert page.locator("#q").input_value() == "state:failed"
    assert row(page, kept).locator("input[type=checkbox]").is_checked()


def test_events_reach_the_screen_quickly(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """An event is seen soon after it was recorded; the figures are half a second and what is measured."""
    page = opened_live(eye, site)
    page.evaluate(WATCH_EVENTS)
    fits = waiting(store)
    seqs = []
    for turn in range(60 if LONG else 12):
        fit = fits[turn % 4].id
        seqs.append(store.hold(fit) if turn % 8 < 4 else store.lift_hold(fit))
        await_event(page, seqs[-1])
    shown: dict[str, float] = page.evaluate("() => window.shown")
    recorded = {event.seq: event.at.timestamp() * 1000 for event in store.events(after=seqs[0] - 1)}
    taken = [shown[str(seq)] - recorded[seq] for seq in seqs]
    middle, worst = statistics.median(taken), max(taken)
    figure("event to screen", f"{middle:.0f} ms (worst {worst:.0f})", bar="< 500 ms", met=worst < 500)
    assert worst < 30_000


def test_a_killed_server_leaves_no_gap(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """After kill -9 of the server the page comes back by itself and tells every event once, in order.

    Also those that were recorded while nobody served; and again after a reload.
    """
    page = opened_live(eye, site, NETWORK)
    fits = waiting(store)[:6]
    for turn in range(12 if LONG else 1):
        say = store.lift_hold if turn % 2 else store.hold
        seqs = [say(fit.id, reason="before") for fit in fits[:2]]
        await_event(page, seqs[-1])
        site.kill()
        await_connection(page, "reconnecting")
        seqs += [say(fit.id, reason="meanwhile") for fit in fits[2:4]]
        site.serve()
        await_connection(page)
        seqs += [say(fit.id, reason="after") for fit in fits[4:]]
        await_event(page, seqs[-1])
        assert [seq for seq in told_events(page) if seq in seqs] == seqs[::-1]
        assert told_events(page) == sorted(set(told_events(page)), reverse=True)
        for fit in fits:
            await_state(page, fit.id, "ready" if turn % 2 else "held")
    assert is_marked(page)
    page.reload()
    await_connection(page)
    assert [seq for seq in told_events(page) if seq in seqs] == seqs[::-1]


def test_a_cut_line_is_told_and_made_good(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """When the line breaks the dot says so; when it is back, what was missed is there."""
    page = opened_live(eye, site, NETWORK)
    port = site.port
    site.relay.cut()
    await_connection(page, "reconnecting")
    fit = waiting(store)[0]
    seq = store.cancel(fit.id)
    site.relay.lead_to(port)
    await_event(page, seq)
    await_connection(page)
    assert told_events(page).count(seq) == 1


def test_a_hidden_page_rests_and_catches_up(eye: OpenEye, site: LivingSite, store: PlanStore) -> None:
    """A page in a tab behind another asks for nothing; brought to the front it tells what it missed, once."""
    page = opened_live(eye, site)
    page.evaluate(
        """() => {
          Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});
          Object.defineProperty(document, 'hidden', {value: true, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    await_connection(page, "off")
    seqs = [store.hold(fit.id) for fit in waiting(store)[:3]]
    page.evaluate(
        """() => {
          delete document.visibilityState;
          delete document.hidden;
          document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    await_event(page, seqs[-1])
    await_connection(page)
    assert [seq for seq in told_events(page) if seq in seqs] == seqs[::-1]
