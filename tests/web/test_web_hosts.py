"""Hosts over the API and on the page: how each stands, and what people do to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from page_client import Ask
from page_reader import Page

from daemon.identity import own_identity
from daemon.settings import Settings
from store import open_store
from store.host_events import DaemonStarted
from store.plan_store import PlanStore

API = "/api/v1"
HOST = "here & there"


@pytest.fixture
def store(web_settings: Settings) -> Iterator[PlanStore]:
    """The log that the page shows, with a host at work there."""
    with open_store(web_settings.database_url, create=False) as opened:
        here = replace(own_identity(), host=HOST)
        opened.daemon_started(
            DaemonStarted(
                worker=here.worker, host=HOST, version="1", boot_id=here.boot_id, pid=here.pid,
                cpu_slots=2, gpu_slots=1, labels=("bigmem", "gpu"), machine=here.machine,
            )
        )  # fmt: skip
        opened.beat(HOST, here.worker)
        opened.claim(here.worker, stage="cpu", limit=2)
        yield opened


@pytest.fixture
def client(asking: Ask, store: PlanStore) -> TestClient:
    """A client of the page on this machine."""
    return asking(headers={"accept": "text/html"})


def test_a_host_drains_and_comes_back_over_the_api(client: TestClient, store: PlanStore) -> None:
    """Each word is an event with its actor; said again it is nothing new; a rehearsal does nothing."""
    place, head = f"{API}/hosts/{HOST}", store.head_seq()
    rehearsed = client.post(f"{place}/drain", json={"give_back": True, "dry_run": True}).json()
    assert (rehearsed["word"], len(rehearsed["running"]), rehearsed["dry_run"]) == ("drain", 2, True)
    assert store.head_seq() == head
    told = client.post(f"{place}/drain", json={"reason": "a new disk"}).json()
    assert (told["already"], told["give_back"]) == (False, False)
    assert client.post(f"{place}/drain", json={}).json()["already"]
    (host,) = [one for one in client.get(f"{API}/hosts").json()["hosts"] if one["host"] == HOST]
    assert (host["standing"], host["draining"], host["labels"]) == (
        "draining",
        "a new disk",
        ["bigmem", "gpu"],
    )
    client.post(f"{place}/return", json={"reason": "the disk is in"})
    assert client.post(f"{place}/return", json={}).json()["already"]
    said = [(one.kind, one.actor, one.data["reason"]) for one in store.events(after=head)]
    assert said == [("HostDraining", "api", "a new disk"), ("HostReturned", "api", "the disk is in")]


def test_a_host_that_may_be_at_work_is_not_removed_over_the_api(client: TestClient, store: PlanStore) -> None:
    """The problem says what to do; by force it goes, its fits go on elsewhere, and it is listed no more."""
    place = f"{API}/hosts/{HOST}"
    refused = client.post(f"{place}/remove", json={}, headers={"accept": "application/json"})
    assert refused.status_code == 409
    assert "may be at work, heard of" in refused.json()["detail"]
    told = client.post(f"{place}/remove", json={"force": True}).json()
    assert len(told["taken_back"]) == 2
    assert store.reading.leased_workers() & {replace(own_identity(), host=HOST).worker} == set()
    listed = client.get(f"{API}/hosts").json()
    assert (HOST in {one["host"] for one in listed["hosts"]}, listed["removed"]) == (False, 1)
    everything = client.get(f"{API}/hosts?removed=true").json()["hosts"]
    assert {one["host"]: one["standing"] for one in everything}[HOST] == "removed"
    unknown = client.post(f"{API}/hosts/here/drain", json={}, headers={"accept": "application/json"})
    assert (unknown.status_code, unknown.json()["nearest"]) == (404, HOST)
    assert client.post(f"{place}/drain", json={"unknown": 1}).status_code == 422


def test_the_page_asks_before_it_drains_a_host(client: TestClient, store: PlanStore) -> None:
    """The question counts what runs there; the answer says what came of it; then the way back is offered."""
    head, row = store.head_seq(), Page(client.get("/hosts").text).one("tbody")
    assert HOST in row.text
    assert "bigmem, gpu" in row.text
    address = next(link for link in Page(client.get("/hosts").text).links if "word=drain&host=here" in link)
    asked = Page(client.get(address).text)
    assert asked.one("h1").text == f"Let host {HOST} drain?"
    assert "2 fits run there now" in asked.one("form", class_="ask").text
    assert store.head_seq() == head
    wish = {"word": "drain", "host": HOST, "reason": "a <b>new</b> disk", "give_back": "true"}
    told = Page(client.post("/act/host", data=wish).text)
    assert told.one("h1").text == "Draining"
    assert "2 fits are given back, to go on elsewhere" in told.one("section", class_="ask").text
    assert store.reading.host(HOST).give_back
    header = Page(client.get("/").text).one(id="live-header").text
    assert f"{HOST} draining: 2 fits to end a <b>new</b> disk" in " ".join(header.split())
    assert any("word=return" in link for link in Page(client.get("/hosts").text).links)
    back = client.post("/act/host", data={"word": "return", "host": HOST})
    assert "it claims again" in back.text
    assert store.reading.host(HOST).draining is None


def test_the_page_removes_a_host_when_told_twice(client: TestClient, store: PlanStore) -> None:
    """Without the word that it may be at work it is refused as a sentence, not as a defect."""
    wish = {"word": "remove", "host": HOST}
    refused = client.post("/act/host", data=wish)
    assert refused.status_code == 409
    assert "may be at work" in refused.text
    assert "Removed" in client.post("/act/host", data={**wish, "force": "true"}).text
    assert HOST not in Page(client.get("/hosts").text).one("main").text
    assert "1 host removed" in Page(client.get("/hosts").text).one("main").text
    assert store.reading.host(HOST).removed_at is not None
    assert client.get("/act/host?word=drain&host=nobody").status_code == 404
    assert client.get("/act/host?word=burn&host=nobody").status_code == 422


def test_many_hosts_are_counted_and_listed_elsewhere(client: TestClient, store: PlanStore) -> None:
    """The top of each page keeps its height; what somebody should look at comes first."""
    for number in range(30):
        word = DaemonStarted(
            worker=f"h{number}/b/1/2/3/{'0' * 16}", host=f"h{number}", version="1", boot_id="b"
        )
        store.daemon_started(word)
    store.drain_host("h29")
    told = Page(client.get("/").text).one(id="live-header")
    assert "h29 drained: nothing runs there" in " ".join(told.text.split())
    assert f"{len(store.reading.hosts()) - 6} more hosts" in told.text
    assert "h17" in Page(client.get("/hosts").text).one("tbody").text


def test_the_past_shows_the_hosts_of_then(client: TestClient, store: PlanStore) -> None:
    """Without signs of life, which nobody kept, and without anything that could be done."""
    head = store.head_seq()
    store.drain_host(HOST, reason="later")
    page = Page(client.get(f"/hosts?at={head}").text).one("main").text
    assert HOST in page
    assert "later" not in page
    assert "Drain" not in page


def test_what_watches_is_told_of_hosts(client: TestClient, store: PlanStore) -> None:
    """Prometheus hears of each whether it drains and when it was heard of; of removed ones nothing."""
    store.drain_host(HOST)
    told = client.get("/metrics").text
    assert f'trainwright_host_draining{{host="{HOST}"}} 1.0' in told
    assert f'trainwright_host_beat_age_seconds{{host="{HOST}"}}' in told
    store.remove_host(HOST, force=True)
    assert f'host="{HOST}"' not in client.get("/metrics").text


def test_the_page_says_what_a_host_lacks(client: TestClient, store: PlanStore) -> None:
    """On the first page and on that of the hosts, with whatever it says shown as text; over the API too."""
    store.beat(
        HOST, own_identity().worker.replace(own_identity().host, HOST, 1), trouble="<b>Ray</b> is away"
    )
    for path in ("/", "/hosts"):
        words = client.get(path).text
        assert "&lt;b&gt;Ray&lt;/b&gt; is away" in words
        assert "<b>Ray" not in words
    (host,) = [one for one in client.get(f"{API}/hosts").json()["hosts"] if one["host"] == HOST]
    assert host["trouble"] == "<b>Ray</b> is away"
