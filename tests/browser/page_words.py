"""What the tests say about the page in a browser: live, rows, events, each in one place."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

TOLD = "() => [...document.querySelectorAll('#ticker [data-event]')].map((one) => Number(one.dataset.event))"


def await_connection(page: Page, state: str = "live") -> None:
    """Wait until the dot says live, reconnecting or history."""
    page.wait_for_selector(f"#connection[data-connection={state}]", state="attached")


def row(page: Page, fit_id: str) -> Locator:
    """The row of a fit in the table."""
    return page.locator(f"#live-row-{fit_id}")


def state_of(page: Page, fit_id: str) -> str:
    """The word in the state column of a fit's row."""
    return row(page, fit_id).locator(".state").inner_text().strip()


def await_state(page: Page, fit_id: str, word: str) -> None:
    """Wait until the row of a fit says so, in whatever row of the table it comes to stand."""
    row(page, fit_id).locator(".state", has_text=word).wait_for()


def told_events(page: Page) -> list[int]:
    """The seqs of the events in the list, from top to bottom."""
    found: list[int] = page.evaluate(TOLD)
    return found


def await_event(page: Page, seq: int) -> None:
    """Wait until the list tells of an event."""
    page.wait_for_selector(f"#ticker [data-event='{seq}']", state="attached")


def mark(page: Page) -> None:
    """Leave a mark that a reload would wipe out."""
    page.evaluate("() => { window.marked = true; }")


def is_marked(page: Page) -> bool:
    """Whether the page is still the one that was marked."""
    return bool(page.evaluate("() => window.marked === true"))
