"""What the API tells: the command line's own documents, by page, of the past, and problems in one form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import settings_in
from jsonschema import Draft202012Validator
from page_client import Ask, TestClient

from daemon.cli.main import main
from daemon.settings import Settings
from daemon.web.api_description import operations_of
from daemon.web.app import create_app
from store import open_store
from store.events import FitSucceeded

API = "/api/v1"


@pytest.fixture(scope="module")
def reading_settings(kept_log: Path) -> Settings:
    """A host whose log nobody here writes into."""
    return settings_in(kept_log.parent)


@pytest.fixture(scope="module")
def client(reading_settings: Settings) -> TestClient:
    return TestClient(
        create_app(reading_settings), base_url="http://localhost", raise_server_exceptions=False
    )


def said(client: TestClient, path: str, status: int = 200, **asked: Any) -> Any:
    """The document that an address answers with."""
    response = client.get(API + path, **asked)
    assert response.status_code == status, response.text
    return response.json()


def fit_in(client: TestClient, state: str) -> Mapping[str, Any]:
    """The first fit in a state."""
    fits = said(client, f"/fits?q=state:{state}&limit=1")["fits"]
    return dict(fits[0])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/status", ["status"]),
        ("/fits?limit=1000", ["jobs"]),
        ("/families", ["families"]),
        ("/schedule", ["schedule"]),
        ("/hosts", ["hosts", "ls"]),
        ("/models/names", ["models", "promote"]),
        ("/why/y_fwd_ret_1m", ["why", "y_fwd_ret_1m"]),
        ("/jobs/{job}", ["job", "{job}"]),
    ],
)
def test_a_document_is_the_one_of_the_command(
    client: TestClient,
    reading_settings: Settings,
    capsys: pytest.CaptureFixture[str],
    path: str,
    words: list[str],
) -> None:
    """What the command prints with --json is in the answer, but for the moment of asking."""
    job = fit_in(client, "succeeded")["job_id"]
    told = said(client, path.format(job=job))
    place = ["--results-dir", str(reading_settings.results_dir)]
    with pytest.raises(SystemExit):
        main([*(word.format(job=job) for word in words), *place, "--json"])
    printed = json.loads(capsys.readouterr().out)
    for document in (told, printed):
        for name in ("at", "plans"):  # what is left of a plan goes on with the clock
            document.pop(name, None)
    assert {name: told[name] for name in printed} == printed


def test_every_answer_is_as_the_description_says(client: TestClient) -> None:
    """Each address with real names in it, answered with a document of its own schema."""
    description = said(client, "/openapi.json")
    fit, plan = fit_in(client, "succeeded"), said(client, "/plans")["plans"][0]["id"]
    names = {"fit": fit["id"], "plan": plan, "other": plan, "name": fit["job_id"]}
    asked = 0
    for method, path, told in operations_of(description):
        if method != "GET" or path.endswith(("/log", "/receipts/{name}")):
            continue
        document = client.get(path.format(**names))
        assert document.status_code == 200, (path, document.text)
        schema = told["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": description["components"]}).validate(document.json())
        asked += 1
    assert asked > 20


def test_every_example_is_as_the_description_says(client: TestClient) -> None:
    """What the page shows as an answer or a request is one; every address says in words what it does."""
    description = said(client, "/openapi.json")
    examples = 0
    for _, path, told in operations_of(description):
        assert told["summary"].endswith("."), path
        assert all(one["description"] for one in told["responses"].values())
        assert {"401", "422"} <= set(told["responses"])
        contents = [told["responses"]["200"], told.get("requestBody", {})]
        for content in (one.get("content", {}).get("application/json", {}) for one in contents):
            shown = [one["value"] for one in content.get("examples", {}).values()]
            shown += [content["example"]] if "example" in content else []
            schema = {**content.get("schema", {}), "components": description["components"]}
            for example in shown:
                Draft202012Validator(schema).validate(example)
                examples += 1
    assert examples > 15


def test_pages_of_fits_follow_each_other(client: TestClient) -> None:
    """By filter and order; each page says how many there are, and whether more follow."""
    whole = said(client, "/fits?limit=1000&order=urgency")
    found, offset, more = [], 0, True
    while more:
        page = said(client, f"/fits?limit=7&order=urgency&offset={offset}")
        assert page["total"] == whole["total"]
        found += page["fits"]
        offset, more = offset + 7, page["more"]
    assert [fit["id"] for fit in found] == [fit["id"] for fit in whole["fits"]]
    failed = said(client, "/fits", params={"q": "state:failed"})
    assert {fit["state"] for fit in failed["fits"]} == {"failed"}
    assert failed["counts"] == {"failed": failed["total"]}
    assert whole["counts"]["failed"] == failed["total"]


def test_events_are_read_page_by_page_or_as_lines(client: TestClient) -> None:
    """Behind a seq, by kind and plan; as lines all that is there comes, each a document."""
    plan = said(client, "/plans")["plans"][0]["id"]
    lines = client.get(f"{API}/events", headers={"accept": "application/x-ndjson"}).text.splitlines()
    events, after = [], 0
    while after is not None:
        page = said(client, f"/events?limit=50&after={after}")
        events += page["events"]
        after = page["next"]
    assert [json.loads(line) for line in lines] == [{"v": 1, **event} for event in events]
    assert page["head"] == events[-1]["seq"] == len(events)
    told = said(client, f"/events?plan={plan}&kind=FitFailed&kind=FitSucceeded")["events"]
    assert {event["kind"] for event in told} == {"FitFailed", "FitSucceeded"}
    late = client.get(f"{API}/events?after={events[-2]['seq']}", headers={"accept": "application/x-ndjson"})
    assert len(late.text.splitlines()) == 1


def test_the_past_is_told_as_it_was(client: TestClient) -> None:
    """By the number of an event or by a moment; the document says where it stands."""
    then = said(client, "/fits?at=60&q=state:succeeded")
    assert then["as_of"]["seq"] == 60
    assert then["total"] < said(client, "/fits?q=state:succeeded")["total"]
    moment = said(client, "/events?after=59&limit=1")["events"][0]["at"]
    assert said(client, "/status", params={"at": moment})["as_of"]["seq"] >= 60


def test_the_log_of_an_attempt_is_plain_text(client: TestClient) -> None:
    """Its end, or the whole of it as a file to keep; nosniff keeps a browser from reading more into it."""
    fit = fit_in(client, "succeeded")["id"]
    end = client.get(f"{API}/fits/{fit}/log?lines=2")
    assert end.headers["content-type"] == "text/plain; charset=utf-8"
    assert end.headers["x-content-type-options"] == "nosniff"
    assert len(end.text.splitlines()) == 2
    whole = client.get(f"{API}/fits/{fit}/log?whole=true")
    assert whole.text.endswith(end.text)
    assert whole.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("path", "status", "nearest"),
    [
        ("/fits/f_none", 404, None),
        ("/plans/p_none/jobs", 404, None),
        ("/why/y_fwd_ret_1n", 404, "y_fwd_ret_1m"),
        ("/fits?q=state:faild", 422, "failed"),
        ("/fits?limit=0", 422, None),
        ("/fits?plan=p_none", 404, None),
        ("/events?kind=FitFaild", 422, "FitFailed"),
        ("/events?after=-1", 422, None),
        ("/events?after=99999999999999999999", 422, None),
        ("/status?at=99zz", 400, None),
        ("/fits/a%00b", 422, None),
        ("/receipts/..", 404, None),
        ("/receipts/api-none", 404, None),
        ("/nothing", 404, None),
    ],
)
def test_a_problem_says_what_is_wrong(
    client: TestClient, path: str, status: int, nearest: str | None
) -> None:
    """A problem document with one sentence and, where there is one, the nearest name."""
    response = client.get(API + path)
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"]) == (status, status)
    assert problem["detail"]
    assert "\n" not in problem["detail"]
    if nearest is not None:
        assert problem["nearest"] == nearest


def test_what_an_address_takes_is_told(client: TestClient) -> None:
    """A method that is not taken is refused with those that are."""
    response = client.request("PUT", f"{API}/fits")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]


def test_a_number_that_is_none_is_null(asking: Ask, web_settings: Settings) -> None:
    """JSON has no NaN: strict readers read every answer."""
    with open_store(web_settings.database_url) as store:
        (claim,) = store.claim("w", stage="cpu")
        metrics = {"metric": "rank_ic", "score": float("nan"), "standard_error": float("inf")}
        store.succeeded(claim, FitSucceeded(bundle="b", sha256="0" * 64, metrics=metrics, seconds=1.0))
    text = asking().get(f"{API}/fits/{claim.fit_id}").text
    found = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found["fits"][0]["metrics"]["score"] is None


def test_the_page_about_the_api_names_every_address(client: TestClient) -> None:
    """Every address with its sentence and a line to type; nothing comes from outside."""
    page = client.get("/api").text
    for method, path, told in operations_of(said(client, "/openapi.json")):
        assert f"<code>{method} {path}</code>" in page
        assert f'id="{told["operationId"]}"' in page
    assert page.count("curl ") > 20
    assert 'src="http' not in page
    assert "<script>" not in page
