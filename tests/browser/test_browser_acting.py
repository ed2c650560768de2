"""What a person does on the page: filter, open, choose, act, look back; by mouse, by keys, unscripted."""

from __future__ import annotations

from eye import OpenEye
from living_site import LivingSite
from page_words import await_connection, await_state, is_marked, mark, row, state_of
from playwright.sync_api import Page

from store import open_store
from store.records import FitRow

SHOWN = "() => [...document.querySelectorAll('#live-rows tr')].map((one) => one.id.slice('live-row-'.length))"
FOCUSED = "() => document.activeElement.closest('tr')?.id ?? document.activeElement.id"


def fits_in(site: LivingSite, *states: str) -> tuple[FitRow, ...]:
    """The fits in these states, as the log has them now."""
    with open_store(site.database_url) as store:
        return store.reading.fits(states=states)


def shown(page: Page) -> list[str]:
    """The ids of the fits in the table, from top to bottom."""
    found: list[str] = page.evaluate(SHOWN)
    return found


def await_rows(page: Page, fits: set[str]) -> None:
    """Wait until the table has exactly these fits."""
    page.wait_for_function(f"(wanted) => JSON.stringify(({SHOWN})().sort()) === wanted", arg=_json(fits))


def do(page: Page, words: str) -> None:
    """Say yes to a question, and wait until it is done."""
    with page.expect_navigation():
        page.locator("main form[method=post]").get_by_role("button", name=words, exact=True).click()


def _json(fits: set[str]) -> str:
    return "[" + ",".join(f'"{fit}"' for fit in sorted(fits)) + "]"


def test_a_filter_is_text_and_an_address(eye: OpenEye, shared_site: LivingSite) -> None:
    """What is typed into the filter leaves the fits that match, stands in the address, survives a reload."""
    page = eye(shared_site.url).open()
    failed = {fit.id for fit in fits_in(shared_site, "failed")}
    page.locator("#q").fill("state:failed")
    page.keyboard.press("Enter")
    await_rows(page, failed)
    assert "q=state%3Afailed" in page.url
    page.reload()
    assert set(shown(page)) == failed
    page.go_back()
    page.wait_for_function(f"(few) => ({SHOWN})().length > few", arg=len(failed))


def test_a_wrong_filter_is_told_with_the_nearest_word(eye: OpenEye, shared_site: LivingSite) -> None:
    """A filter that cannot be meant is told in a sentence and shows nothing wrong."""
    page = eye(shared_site.url).open("/?q=state:faild")
    assert "failed" in page.locator("#live-jobs [role=alert]").inner_text()


def test_a_whole_match_is_cancelled_after_it_was_said_how_many(eye: OpenEye, site: LivingSite) -> None:
    """All that a filter matches is cancelled by two clicks; between them stands how many and why."""
    page = eye(site.url).open("/?q=stage:gpu")
    waiting = [fit for fit in fits_in(site, "ready", "running") if fit.stage == "gpu"]
    page.locator("#batch button", has_text="Cancel").click()
    page.get_by_role("heading", name=f"Cancel {len(waiting)} fits?").wait_for()
    assert "it failed" in page.locator("main").inner_text()
    page.locator("[name=reason]").fill("not needed <b>any more</b>")
    do(page, f"Cancel {len(waiting)} fits")
    assert {fit.id for fit in fits_in(site, "cancelled")} >= {fit.id for fit in waiting}
    with open_store(site.database_url) as store:
        said = [event for event in store.events(kinds=("FitCancelled",)) if event.fit == waiting[0].id]
    assert said[0].actor == "web"
    assert said[0].data["reason"] == "not needed <b>any more</b>"


def test_those_that_are_chosen_are_held(eye: OpenEye, site: LivingSite) -> None:
    """Ticked rows are what is acted on, not the whole match."""
    page = eye(site.url).open("/?q=state:ready")
    before = {fit.id for fit in fits_in(site, "ready") if fit.held is not None}
    chosen = [fit.id for fit in fits_in(site, "ready") if fit.held is None][:2]
    for fit in chosen:
        row(page, fit).locator("input[type=checkbox]").check()
    page.locator("#batch button", has_text="Hold").click()
    do(page, "Hold 2 fits")
    assert {fit.id for fit in fits_in(site, "ready") if fit.held is not None} == before | set(chosen)


def test_a_click_opens_a_fit_beside_the_table(eye: OpenEye, shared_site: LivingSite) -> None:
    """A fit opens in a drawer: curve, attempts, log; the whole log can be fetched; Esc closes it."""
    page = eye(shared_site.url).open()
    await_connection(page)
    mark(page)
    fit = next(fit for fit in fits_in(shared_site, "running") if fit.attempt == 2)
    row(page, fit.id).locator("a[data-fit]").click()
    drawer = page.locator("#drawer")
    drawer.locator("#live-fit-curve svg").wait_for()
    assert fit.job_id in drawer.inner_text()
    assert "step 330 of 400" in drawer.locator("#live-fit-log").inner_text()
    drawer.locator(".tabs a", has_text="1").click()
    drawer.locator("#live-fit-log h3", has_text="attempt 1").wait_for()
    with page.expect_download() as download:
        drawer.locator("a[download]").click()
    assert "step 400 of 400" in download.value.path().read_text(encoding="utf-8")
    page.keyboard.press("Escape")
    drawer.wait_for(state="detached")
    assert is_marked(page)


def test_everything_can_be_done_by_keys(eye: OpenEye, shared_site: LivingSite) -> None:
    """Slash goes to the filter, j and k walk the rows, Enter opens, Esc closes, ? tells of the keys."""
    page = eye(shared_site.url).open()
    await_connection(page)
    page.keyboard.press("j")
    first = page.evaluate(FOCUSED)
    page.keyboard.press("j")
    assert page.evaluate(FOCUSED) != first
    page.keyboard.press("k")
    assert page.evaluate(FOCUSED) == first
    assert first == f"live-row-{shown(page)[0]}"
    page.keyboard.press("Enter")
    page.locator("#drawer").wait_for()
    page.keyboard.press("Escape")
    page.locator("#drawer").wait_for(state="detached")
    page.keyboard.press("?")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("?family:lstm")
    assert page.locator("#q").input_value() == "?family:lstm"


def test_the_first_step_by_tab_leads_past_the_head(eye: OpenEye, shared_site: LivingSite) -> None:
    """The first Tab reaches a link to the content, and what has the focus can be seen."""
    page = eye(shared_site.url).open()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    style = "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.clip]; }"
    assert page.evaluate(style)[0] != "none"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"


def test_the_past_is_shown_as_it_was(eye: OpenEye, site: LivingSite) -> None:
    """The slider leads to the page as it was behind an event, where nothing can be done and nothing moves."""
    page = eye(site.url).open()
    await_connection(page)
    fit = fits_in(site, "failed")[0]
    with open_store(site.database_url) as store:
        (failed,) = store.events(fit=fit.id, kinds=("FitFailed",))[-1:]
    page.locator("#slider").evaluate(
        "(one, seq) => { one.value = seq; one.dispatchEvent(new Event('input', {bubbles: true})); "
        "one.dispatchEvent(new Event('change', {bubbles: true})); }",
        failed.seq - 1,
    )
    page.wait_for_url(f"**at={failed.seq - 1}*")
    await_connection(page, "history")
    assert state_of(page, fit.id) == "running"
    assert page.locator("#batch").count() == 0
    page.goto(f"{page.url.split('?')[0]}?at={failed.seq}")
    assert state_of(page, fit.id) == "failed"
    page.get_by_text("Back to the present").click()
    await_connection(page)


def test_all_works_without_a_script(eye: OpenEye, site: LivingSite) -> None:
    """Without JavaScript the page refreshes itself, filters, opens a fit and acts."""
    watching = eye(site.url, java_script_enabled=False)
    page = watching.open("/?q=state:ready")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    fit = next(fit for fit in fits_in(site, "ready") if fit.held is None)
    row(page, fit.id).locator("input[type=checkbox]").check()
    page.locator("#batch button", has_text="Hold").click()
    do(page, "Hold 1 fit")
    page.goto(f"{site.url}/?q=held")
    await_state(page, fit.id, "held")
    row(page, fit.id).locator("a[data-fit]").click()
    page.locator("#live-fit-head", has_text=fit.job_id).wait_for()


def test_the_way_to_the_content_asks_for_nothing(eye: OpenEye, shared_site: LivingSite) -> None:
    """Who skips to the content and types at once loses no letter to another answer."""
    page = eye(shared_site.url).open()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.resource_type == "fetch" else None)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")
    page.keyboard.press("/")
    page.keyboard.type("family:lstm")
    assert page.locator("#q").input_value() == "family:lstm"
    assert asked == []
