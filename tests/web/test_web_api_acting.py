"""What may be done over the API: with a reason for each fit, its actor in the log, once under one key."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from page_client import Ask, TestClient

from daemon.settings import Settings
from daemon.web import api_actions, api_keys
from store import open_store

API = "/api/v1"
TOKEN, READ_TOKEN = "a-token-that-is-long-enough", "another-token-long-enough"


@pytest.fixture
def client(asking: Ask) -> TestClient:
    return asking()


def act(
    client: TestClient, word: str, wish: Mapping[str, Any], *, status: int = 200, key: str | None = None
) -> Any:
    """Ask for a word about fits."""
    headers = {} if key is None else {"idempotency-key": key}
    response = client.post(f"{API}/fits/{word}", json=wish, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


def tally(client: TestClient) -> dict[str, int]:
    counts: dict[str, int] = client.get(f"{API}/fits?limit=1").json()["counts"]
    return counts


def head(client: TestClient) -> int:
    return int(client.get(f"{API}/events?limit=1").json()["head"])


def test_a_word_is_done_to_the_whole_match(client: TestClient) -> None:
    """Not to a page of it; each fit says why, each event has its actor and its reason."""
    before, last = tally(client), head(client)
    told = act(client, "cancel", {"q": "state:open", "reason": "enough"})
    open_fits = sum(before.get(state, 0) for state in ("ready", "claimed", "running"))
    assert len(told["done"]) == open_fits > 10
    assert all(one["because"] for one in told["done"])
    assert tally(client)["cancelled"] == before.get("cancelled", 0) + open_fits
    events = client.get(f"{API}/events?after={last}&kind=FitCancelled&limit=1000").json()["events"]
    assert {(event["actor"], event["data"]["reason"]) for event in events} == {("api", "enough")}
    assert len(events) == open_fits
    back = act(client, "retry", {"q": "state:cancelled,failed"})
    assert len(back["done"]) == open_fits + before.get("cancelled", 0) + before["failed"]


def test_a_rehearsal_says_the_same_and_does_nothing(client: TestClient) -> None:
    """With dry_run the log stays as it is."""
    last = head(client)
    rehearsed = act(client, "hold", {"q": "plan:*", "dry_run": True})
    assert head(client) == last
    done = act(client, "hold", {"q": "plan:*"})
    assert (rehearsed["done"], rehearsed["passed"]) == (done["done"], done["passed"])
    assert done["passed"]
    assert len(act(client, "release", {"q": "held"})["done"]) >= len(done["done"])


def test_fits_are_meant_by_name_job_or_plan(client: TestClient) -> None:
    """Of one plan if one is named; a name that nobody knows is a problem, and nothing is done then."""
    fit = client.get(f"{API}/fits?q=state:ready&limit=1").json()["fits"][0]
    told = act(client, "hold", {"names": [fit["name"], fit["id"], fit["job_id"]]})
    assert {one["name"].partition("/")[0] for one in told["done"] + told["passed"]} == {fit["job_id"]}
    whole = act(client, "hold", {"plan": fit["plan_id"], "dry_run": True})
    assert len(whole["done"]) + len(whole["passed"]) == client.get(f"{API}/fits?limit=1").json()["total"]
    last = head(client)
    problem = act(client, "cancel", {"names": [fit["id"], fit["name"][:-1]]}, status=404)
    assert problem["nearest"] == fit["name"]
    assert head(client) == last


def test_a_wish_that_says_nothing_is_refused(client: TestClient) -> None:
    """Nothing is done by guess, least of all to everything."""
    last = head(client)
    wishes: tuple[Any, ...] = (
        {}, {"q": " "}, {"q": "state:faild"}, {"names": []}, {"names": [""]}, {"names": ["a\0b"]},
        {"names": "cs_y"}, {"plan": "p", "reason": "\0"}, {"plan": "p", "unknown": 1}, [],
    )  # fmt: skip
    for wish in wishes:
        act(client, "cancel", wish, status=422)
    assert head(client) == last


def test_under_one_key_a_request_is_done_once(client: TestClient, asking: Ask) -> None:
    """The same answer again; after a restart of the page no fit has it twice; another body is refused."""
    wish = {"q": "state:ready", "reason": "wait"}
    first, last = act(client, "hold", wish, key="k1"), head(client)
    assert act(client, "hold", wish, key="k1") == first
    problem = act(client, "hold", {"q": "state:failed"}, key="k1", status=422)
    assert "'k1'" in problem["detail"]
    act(client, "release", {"names": [one["id"] for one in first["done"]]})
    assert act(client, "hold", wish, key="k1") == first
    restarted = asking()
    released, again = head(client), act(restarted, "hold", wish, key="k1")
    assert {one["id"] for one in again["done"]} == {one["id"] for one in first["done"]}
    assert head(client) == released > last
    assert act(client, "hold", wish, key="k2")["done"]
    assert head(client) > released


def test_a_request_under_a_key_that_is_being_answered_waits_outside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two at once is told to ask again, and does nothing."""
    begun, go_on = threading.Event(), threading.Event()
    carry_out = api_actions.carry_out

    def slow(*asked: Any, **told: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return carry_out(*asked, **told)

    monkeypatch.setattr(api_actions, "carry_out", slow)
    first = threading.Thread(target=act, args=(client, "hold", {"q": "state:ready"}), kwargs={"key": "k"})
    first.start()
    assert begun.wait(60)
    act(client, "hold", {"q": "state:ready"}, key="k", status=409)
    go_on.set()
    first.join(60)
    assert act(client, "hold", {"q": "state:ready"}, key="k")["done"]


def test_kept_answers_are_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten when all are too long together; the log still knows what was done."""
    fit = client.get(f"{API}/fits?q=state:ready&limit=1").json()["fits"][0]["id"]
    first = act(client, "hold", {"names": [fit]}, key="a")
    assert act(client, "hold", {"names": [fit]}, key="a") == first
    monkeypatch.setattr(api_keys, "KEPT_BYTES_MAX", 1)
    act(client, "release", {"names": [fit]}, key="b")
    last = head(client)
    assert act(client, "release", {"names": [fit], "reason": "other"}, key="b")["done"]
    assert act(client, "hold", {"names": [fit], "reason": "other"}, key="a")["done"]
    assert head(client) == last


def test_work_is_paused_and_goes_on(client: TestClient) -> None:
    """Of a scope, once; ending it says what stays."""
    paused = client.post(f"{API}/pauses", json={"stage": "gpu", "reason": "busy"}).json()
    assert (paused["already"], paused["pause"]["actor"]) == (False, "api")
    assert client.post(f"{API}/pauses", json={"stage": "gpu"}).json()["already"]
    rehearsed = client.post(f"{API}/pauses", json={"all": True, "dry_run": True}).json()
    assert rehearsed["pause"]["words"].startswith("all work is paused")
    assert len(client.get(f"{API}/pauses").json()["pauses"]) == 1
    client.post(f"{API}/pauses", json={"host": "h"})
    assert client.delete(f"{API}/pauses?stage=cpu").json()["ended"] == []
    ended = client.delete(f"{API}/pauses?stage=gpu").json()
    assert [one["stage"] for one in ended["ended"]] == ["gpu"]
    assert [one["host"] for one in ended["still"]] == ["h"]
    assert len(client.delete(f"{API}/pauses?all=true&dry_run=true").json()["ended"]) == 1
    assert len(client.delete(f"{API}/pauses?all=true").json()["ended"]) == 1
    assert client.get(f"{API}/pauses").json()["pauses"] == []


def test_a_model_gets_a_name_of_its_own(client: TestClient) -> None:
    """Recorded with its actor; rehearsed it is not; a fit without a model and a strange name are refused."""
    first, second = client.get(f"{API}/fits?q=state:succeeded&limit=2").json()["fits"]
    waiting = client.get(f"{API}/fits?q=state:ready&limit=1").json()["fits"][0]
    wish = {"fit": first["name"], "alias": "champion", "reason": "best"}
    assert client.post(f"{API}/models/names", json={**wish, "dry_run": True}).json()["seq"] is None
    assert client.get(f"{API}/models/names").json()["models"] == []
    assert client.post(f"{API}/models/names", json=wish).json()["seq"] == head(client)
    told = client.post(f"{API}/models/names", json={**wish, "fit": second["id"]}).json()
    assert told["before"] == first["id"]
    (named,) = client.get(f"{API}/models/names").json()["models"]
    assert (named["alias"], named["model"], named["actor"]) == ("champion", second["id"], "api")
    for change, status in ({"fit": waiting["id"]}, 409), ({"fit": "f_none"}, 404), ({"alias": "f_1"}, 422):
        assert client.post(f"{API}/models/names", json={**wish, **change}).status_code == status


def test_a_pause_of_nothing_is_refused(client: TestClient) -> None:
    """It must be said what is meant, and be known."""
    wishes = (
        ({}, 422),
        ({"all": True, "stage": "cpu"}, 422),
        ({"stage": "tpu"}, 422),
        ({"plan": "p_none"}, 404),
    )
    for wish, status in wishes:
        assert client.post(f"{API}/pauses", json=wish).status_code == status, wish
    assert client.get(f"{API}/pauses").json()["pauses"] == []


def test_who_may_only_look_changes_nothing(asking: Ask, tmp_path: Path, web_settings: Settings) -> None:
    """A read token is refused every word; the full one is the actor in the log; without one all is hidden."""
    full, reader = tmp_path / "token", tmp_path / "read"
    for file, text in ((full, TOKEN), (reader, READ_TOKEN)):
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
    tokens = {"web_token_file": full, "web_read_token_file": reader}
    looks = asking(headers={"authorization": f"Bearer {READ_TOKEN}"}, **tokens)
    assert looks.get(f"{API}/status").status_code == 200
    assert looks.get(f"{API}/openapi.json").json()["security"]
    last = head(looks)
    for method, path, wish in (
        ("POST", "/fits/cancel", {"q": "plan:*"}),
        ("POST", "/fits/hold", {"q": "plan:*", "dry_run": True}),
        ("POST", "/pauses", {"all": True}),
        ("DELETE", "/pauses?all=true", None),
        ("POST", "/hosts/h/drain", {}),
        ("POST", "/hosts/h/remove", {"force": True}),
        ("POST", "/plans", {"jobs": []}),
        ("POST", "/models/names", {"fit": "x", "alias": "y"}),
    ):
        assert looks.request(method, API + path, json=wish).status_code == 403, path
    assert head(looks) == last
    assert not web_settings.inbox_dir.exists() or not list(web_settings.inbox_dir.iterdir())
    nobody = asking(**tokens)
    assert nobody.get(f"{API}/status").status_code == 401
    assert nobody.post(f"{API}/fits/cancel", json={"q": "plan:*"}).status_code == 401
    acts = asking(headers={"authorization": f"Bearer {TOKEN}"}, **tokens)
    act(acts, "cancel", {"q": "state:ready"})
    with open_store(web_settings.database_url) as store:
        assert {event.actor for event in store.events(after=last)} & {"token:full"}


def test_another_site_does_nothing_here(client: TestClient) -> None:
    """What a foreign page sends with a browser is refused before it is read."""
    last = head(client)
    for headers in ({"origin": "http://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        response = client.post(f"{API}/fits/cancel", json={"q": "plan:*"}, headers=headers)
        assert response.status_code == 403
    assert head(client) == last
