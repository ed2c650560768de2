"""Plans handed over by the API: down the drop folder's road, with the daemon's own receipt."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from daemon_samples import await_that, document, job, write_data
from page_client import Ask, TestClient

from daemon.bell import Bell
from daemon.intake import Intake
from daemon.settings import Settings
from daemon.shelves import ACCEPTED, DROPPED_AS, REASON_JSON, REASON_TEXT, RECEIPT, REJECTED
from daemon.web import api_submitting
from daemon.web.api_examples import MASTER_PLAN
from store import open_store

API = "/api/v1"


@pytest.fixture
def client(asking: Ask, web_settings: Settings) -> TestClient:
    web_settings.inbox_dir.mkdir(exist_ok=True)
    return asking()


class Daemon:
    """Takes what is dropped and answers in its place: accepted once, then known, or rejected."""

    def __init__(self, inbox: Path, *, rejects: bool = False) -> None:
        self.inbox, self.rejects = inbox, rejects
        self.taken: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Daemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for dropped in sorted(self.inbox.glob("api-*")):
                self.taken.append(json.loads((dropped / "master_training_plan.json").read_text()))
                (self._reject if self.rejects else self._accept)(dropped)

    def _reject(self, dropped: Path) -> None:
        place = self.inbox / REJECTED / dropped.name
        place.parent.mkdir(exist_ok=True)
        (dropped / REASON_JSON).write_text('{"fix": "name a target"}')
        (dropped / REASON_TEXT).write_text("jobs[0] has no target\nfix  name a target\n")
        dropped.rename(place)

    def _accept(self, dropped: Path) -> None:
        shelf = self.inbox / ACCEPTED / "p_1"
        new = not shelf.exists()
        place = shelf if new else shelf / "again" / dropped.name
        place.parent.mkdir(parents=True, exist_ok=True)
        told = {"plan": "p_1", "new": new, "sentence": f"{'' if new else 'already '}accepted as p_1"}
        (dropped / RECEIPT).write_text(json.dumps(told))
        name = dropped.name
        dropped.rename(place)
        with (shelf / DROPPED_AS).open("a") as names:
            names.write(f"{name}\n")


@pytest.fixture
def daemon(web_settings: Settings, client: TestClient) -> Iterator[Daemon]:
    del client  # it has made the drop folder
    with Daemon(web_settings.inbox_dir) as working:
        yield working


def submit(client: TestClient, plan: object, wait_seconds: float = 60) -> Any:
    """Hand a plan over."""
    return client.post(f"{API}/plans?wait_seconds={wait_seconds}", json=plan)


def test_a_plan_is_handed_over_and_its_receipt_comes_back(client: TestClient, daemon: Daemon) -> None:
    """New it is 201, again 200; what arrives is what was sent; the receipt can be asked for later."""
    first = submit(client, MASTER_PLAN)
    assert first.status_code == 201, first.text
    receipt = first.json()
    assert (receipt["accepted"], receipt["new"], receipt["plan"]) == (True, True, "p_1")
    again = submit(client, MASTER_PLAN)
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert daemon.taken == [MASTER_PLAN, MASTER_PLAN]
    assert client.get(f"{API}/receipts/{receipt['name']}").json() == receipt


def test_a_plan_that_is_refused_is_a_problem(client: TestClient, web_settings: Settings) -> None:
    """With the daemon's sentence and what to do."""
    with Daemon(web_settings.inbox_dir, rejects=True):
        response = submit(client, {"jobs": [{}]})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["detail"] == "rejected: jobs[0] has no target"
    assert problem["fix"] == "name a target"
    assert client.get(f"{API}/receipts/{problem['name']}").status_code == 422


def test_without_an_answer_it_is_said_where_to_ask(
    client: TestClient, web_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """202, whether nobody is at work or the daemon takes its time; it is taken later."""
    waiting = submit(client, MASTER_PLAN, wait_seconds=0)
    assert (waiting.status_code, waiting.json()["accepted"]) == (202, None)
    monkeypatch.setattr(api_submitting, "is_at_work", lambda _reader: False)
    nobody = submit(client, MASTER_PLAN)
    assert nobody.status_code == 202
    assert "no daemon is at work" in nobody.json()["sentence"]
    later = client.get(f"{API}/receipts/{nobody.json()['name']}")
    assert later.status_code == 202
    assert len(list(web_settings.inbox_dir.glob("api-*"))) == 2


def test_who_waits_for_a_receipt_keeps_nobody_else_waiting(
    client: TestClient, web_settings: Settings
) -> None:
    """More plans wait than there are threads and the page answers; when it ends they hear where to ask."""

    def keep_two_threads() -> None:
        current_default_thread_limiter().total_tokens = 2

    portal = client.portal
    assert portal is not None
    portal.call(keep_two_threads)
    with ThreadPoolExecutor(4) as people:
        waiting = [people.submit(submit, client, MASTER_PLAN) for _ in range(4)]
        try:
            await_that(lambda: len(list(web_settings.inbox_dir.glob("api-*"))) == 4, "four plans")
            assert client.get(f"{API}/status").status_code == 200
            assert not any(one.done() for one in waiting)
        finally:
            portal.call(client.app.state.hub.close)  # type: ignore[attr-defined]
        assert [one.result(60).status_code for one in waiting] == [202] * 4


def test_what_is_no_plan_never_reaches_the_daemon(client: TestClient, web_settings: Settings) -> None:
    """A problem says so, and nothing is dropped: no text, no object, no end, far too deep."""
    deep = (b"[" * 100_000, b'{"a":' * 50_000 + b"1")
    for body in (b"", b"[]", b"1", b"{", b'{"jobs": NaN}', b"\xff\xfe", *deep):
        response = client.post(f"{API}/plans", content=body)
        assert response.status_code == 422, body[:20]
        assert "JSON" in response.json()["detail"]
    assert not list(web_settings.inbox_dir.iterdir())


def test_a_great_plan_is_handed_over_as_it_came(
    client: TestClient, web_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made into objects it takes many times its memory: that is for the judge, within his limits."""
    body = b" {" + b" " * api_submitting.LOOKED_INTO_BYTES_MAX
    monkeypatch.setattr(api_submitting, "is_at_work", lambda _reader: False)
    assert client.post(f"{API}/plans", content=body).status_code == 202
    (dropped,) = web_settings.inbox_dir.glob("api-*/*.json")
    assert dropped.read_bytes() == body
    assert client.post(f"{API}/plans", content=b"[" + body).status_code == 422


def test_a_plan_has_a_size_limit(asking: Ask, web_settings: Settings) -> None:
    """That of the drop folder; also where the length is not said."""
    web_settings.inbox_dir.mkdir(exist_ok=True)
    client = asking(plan_bytes_max=2000)
    text = json.dumps({**MASTER_PLAN, "more": "x" * 3000}).encode()
    assert client.post(f"{API}/plans", content=text).status_code == 413
    assert client.post(f"{API}/plans", content=iter([text])).status_code == 413
    assert not list(web_settings.inbox_dir.iterdir())


def test_no_name_of_a_receipt_leads_out_of_the_drop_folder(client: TestClient) -> None:
    """A name is letters, digits and few signs; anything else is not looked for."""
    for name in ("%2e%2e", ".hidden", "a%2Fb", "..%2Faccepted", "a%00", "accepted%20x"):
        assert client.get(f"{API}/receipts/{name}").status_code in (404, 422), name


class RealIntake(threading.Thread):
    """The daemon's own intake, taking turns on the log and the drop folder of these settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings, self._stop_asked = settings, threading.Event()

    def run(self) -> None:
        bell = Bell()
        with open_store(self._settings.database_url) as store:
            intake = Intake(self._settings, store, bell)
            intake.start()
            while not self._stop_asked.wait(0.02):
                intake.turn(bell.heard() | {"rescan"})
            intake.close()
        bell.close()

    def end(self) -> None:
        self._stop_asked.set()
        self.join(60)


def test_a_posted_plan_takes_the_daemons_own_road(asking: Ask, web_settings: Settings) -> None:
    """Judged by the real intake, recorded in the log, known again; a bad one is refused with its place."""
    settings = replace(web_settings, data_dir=write_data(web_settings.results_dir.parent / "data", rows=200))
    settings.inbox_dir.mkdir(exist_ok=True)
    intake, client = RealIntake(settings), asking()
    intake.start()
    try:
        made, again = submit(client, document(job())), submit(client, document(job()))
        refused = submit(client, document(job(target="nowhere")))
    finally:
        intake.end()
    assert (made.status_code, again.status_code, refused.status_code) == (201, 200, 422), refused.text
    plan = made.json()["plan"]
    assert again.json()["plan"] == plan
    assert client.get(f"{API}/plans/{plan}").json()["plan"]["jobs"] == 1
    assert "nowhere" in refused.json()["detail"]
    whole = client.get(f"{API}/plans/{plan}/document").json()["plan"]
    assert [one["job_id"] for one in whole["jobs"]] == [job()["job_id"]]
