"""What people do on the page: a question that says how many and why, then the deed, with its actor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from page_reader import Page

from daemon.settings import Settings
from store import open_store
from store.plan_store import PlanStore
from store.records import FitRow

Ask = Callable[..., TestClient]


@pytest.fixture
def client(asking: Ask) -> TestClient:
    """A client of the page on this machine."""
    return asking(headers={"accept": "text/html"})


@pytest.fixture
def store(web_settings: Settings) -> Iterator[PlanStore]:
    """The log that the page shows."""
    with open_store(web_settings.database_url, create=False) as opened:
        yield opened


def in_state(store: PlanStore, *states: str) -> list[FitRow]:
    return [fit for fit in store.reading.fits(states=states) if fit.held is None]


def asked(client: TestClient, address: str) -> tuple[Page, dict[str, list[str]]]:
    """Return the page of a question and what its form would send."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    page = Page(answer.text)
    sent: dict[str, list[str]] = {}
    for field in page.all("input", type="hidden"):
        sent.setdefault(field.attributes["name"], []).append(field.attributes["value"])
    return page, sent


def test_a_question_changes_nothing_and_tells_how_many_and_why(client: TestClient, store: PlanStore) -> None:
    """The page before the deed counts what it applies to and what it passes over, each with its reason."""
    head = store.head_seq()
    page, _ = asked(client, "/act/cancel")
    open_fits = store.reading.fits(states=("ready", "claimed", "running"))
    ended = store.reading.fits(states=("succeeded", "failed", "cancelled", "unavailable"))
    assert page.one("h1").text == f"Cancel {len(open_fits)} fits?"
    told = page.one("form", class_="ask").text
    assert "it waits: it will not be started" in told
    assert "it is running: its process is ended" in told
    assert sum(int(count) for count in re.findall(r"(\d+) fits?: it", told)) == len(open_fits) + len(ended)
    assert store.head_seq() == head


def test_the_whole_match_is_cancelled_not_a_page_of_it(
    client: TestClient, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a filter means is cancelled however many rows the table shows; the events say who and why."""
    monkeypatch.setattr("daemon.web.jobs_table.ROWS", 2)
    waiting = in_state(store, "ready")
    head = store.head_seq()
    _, sent = asked(client, "/act/cancel?q=state:ready held:no")
    answer = client.post("/act/cancel", data={**sent, "reason": "the <card> is needed"})
    assert answer.status_code == 200
    assert Page(answer.text).one("h1").text == f"{len(waiting)} fits cancelled"
    events = [event for event in store.events(after=head) if event.kind == "FitCancelled"]
    assert {event.fit for event in events} == {fit.id for fit in waiting}
    assert {(event.actor, event.data["reason"]) for event in events} == {("web", "the <card> is needed")}


def test_only_those_chosen_are_meant(client: TestClient, store: PlanStore) -> None:
    """With rows chosen the filter beside them does not widen what is meant."""
    first, second = in_state(store, "failed")[:2]
    page, sent = asked(client, f"/act/retry?q=state:failed&fit={first.id}&fit={second.id}")
    assert page.one("h1").text == "Retry 2 fits?"
    client.post("/act/retry", data=sent)
    assert {store.reading.fit(fit.id).state for fit in (first, second)} == {"ready"}
    assert in_state(store, "failed")


def test_more_than_was_agreed_to_is_asked_again(client: TestClient, store: PlanStore) -> None:
    """Where more fits match than when the question was put nothing is done, and it is put again."""
    _, sent = asked(client, "/act/cancel?q=state:ready")
    fit = in_state(store, "failed")[0]
    store.retry(fit.id, actor="somebody")
    head = store.head_seq()
    answer = client.post("/act/cancel", data=sent)
    page = Page(answer.text)
    assert "1 fit more than a moment ago" in page.one(role="alert").text
    assert store.head_seq() == head


def test_what_changed_meanwhile_is_passed_over_with_its_reason(client: TestClient, store: PlanStore) -> None:
    """A fit that ended between question and deed is told of, not touched, and the others are done."""
    fits = in_state(store, "ready")
    _, sent = asked(client, "/act/hold?q=state:ready held:no")
    store.cancel(fits[0].id, actor="somebody")
    answer = client.post("/act/hold", data={**sent, "fit": [fit.id for fit in fits]})
    page = Page(answer.text)
    assert page.one("h1").text == f"{len(fits) - 1} fits held"
    assert "cancelled" in page.one("section", class_="ask").text
    assert store.reading.fit(fits[0].id).held is None


def test_a_held_fit_is_released_from_its_own_page(client: TestClient, store: PlanStore) -> None:
    """The page of a held fit offers its release, and the deed leads back to it."""
    fit = store.reading.fits(held=True)[0]
    page = Page(client.get(f"/fits/{fit.id}").text)
    assert f"/act/release?fit={fit.id}" in page.links
    assert f"/act/retry?fit={fit.id}" not in page.links
    _, sent = asked(client, f"/act/release?fit={fit.id}")
    done = Page(client.post("/act/release", data=sent).text)
    assert f"/fits/{fit.id}" in done.links
    assert store.reading.fit(fit.id).held is None


def test_work_is_paused_and_resumed(client: TestClient, store: PlanStore) -> None:
    """A pause of a stage is asked for with a reason, shown on the page with its way back, and ended there."""
    plan = store.reading.plans()[-1].id
    client.post("/act/pause", data={"plan": plan, "stage": "gpu", "reason": "the card is needed"})
    (pause,) = store.reading.pauses()
    assert (pause.plan, pause.stage, pause.actor, pause.reason) == (plan, "gpu", "web", "the card is needed")
    notes = Page(client.get("/").text)
    assert "the card is needed" in notes.one(id="live-notes").text
    link = next(link for link in notes.links if link.startswith("/act/resume"))
    page, sent = asked(client, link)
    assert "paused by web: the card is needed" in page.one("form", class_="ask").text
    client.post("/act/resume", data=sent)
    assert store.reading.pauses() == ()


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/act/explode", 404),
        ("/act/cancel?fit=f_none", 404),
        ("/act/cancel?q=state:nothing", 422),
        ("/act/cancel?plan=p_none", 404),
        ("/act/pause?plan=p_none", 404),
        ("/act/pause?stage=tpu", 400),
    ],
)
def test_what_nobody_can_mean_is_refused_in_words(client: TestClient, address: str, status: int) -> None:
    """An unknown deed, fit, plan, stage or filter is a page with one sentence."""
    answer = client.get(address)
    assert answer.status_code == status
    assert Page(answer.text).one("main").text


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/act/pause", "host"),
        ("/act/resume", "plan"),
        ("/act/pause", "reason"),
        ("/act/hold", "fit"),
        ("/act/hold", "q"),
        ("/act/hold", "reason"),
    ],
)
def test_no_text_with_a_nul_is_taken(client: TestClient, store: PlanStore, address: str, field: str) -> None:
    """Postgres has no place for one: it is refused on every engine, in a form as in an address."""
    head = store.head_seq()
    assert client.post(address, data={field: "a\0b"}).status_code == 422
    assert client.get(f"{address}?{field}=a%00b").status_code == 400
    assert client.get("/fits/a%00b").status_code == 400
    assert store.head_seq() == head


def test_who_may_only_look_is_shown_no_deeds_and_can_do_none(
    asking: Ask, store: PlanStore, tmp_path: Path
) -> None:
    """With the token that may only look every question and deed is refused, and the page marks itself so."""
    files = {}
    for name, text in (("web_token_file", "a" * 24), ("web_read_token_file", "b" * 24)):
        files[name] = tmp_path / name
        files[name].write_text(text, encoding="ascii")
        files[name].chmod(0o600)
    client = asking(headers={"accept": "text/html", "authorization": f"Bearer {'b' * 24}"}, **files)
    head = store.head_seq()
    assert "looks-only" in Page(client.get("/").text).one("body").attributes["class"]
    assert client.get("/act/cancel").status_code == 403
    assert client.post("/act/cancel", data={"expected": "99"}).status_code == 403
    assert client.post("/act/pause", data={}).status_code == 403
    assert store.head_seq() == head
