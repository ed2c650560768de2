"""The pages as they are served: what they tell, at which moment, to whom, and of which size."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from many_jobs import many_jobs, small_log
from page_reader import Page

from daemon.settings import Settings
from daemon.web.fragments import fragments
from daemon.web.site import Site
from daemon.web.view import View
from store import open_store
from store.events import DaemonStarted, DaemonStopped
from store.filters import FitFilter
from store.plan_store import PlanStore
from store.reading import Reader, open_reader
from store.records import FitRow

sys.path[:0] = [str(Path(__file__).parents[1] / "golden"), str(Path(__file__).parents[1] / "store")]

from test_golden_log import VERSIONS as GOLDEN  # noqa: E402
from test_golden_log import restored  # noqa: E402

BYTES_MAX = 300_000
Ask = Callable[..., TestClient]


@pytest.fixture
def client(asking: Ask) -> TestClient:
    """A client of the page on this machine."""
    return asking(headers={"accept": "text/html"})


@pytest.fixture
def store(web_settings: Settings) -> Iterator[PlanStore]:
    """The log that the page shows, to write into."""
    with open_store(web_settings.database_url, create=False) as opened:
        yield opened


def page_at(client: TestClient, address: str, status: int = 200) -> Page:
    """Return the page at an address, which is whole."""
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def still(client: TestClient) -> Site:
    """Return the page's site on a machine whose load does not change."""
    site: Site = client.app.state.site
    use = site.machine()
    site.machine = lambda: use  # type: ignore[method-assign]
    return site


def parts_but_the_clock(site: Site) -> dict[str, str]:
    """Return the living parts but for the picture of time, in which now moves."""
    return {name: html for name, html in fragments(site, View()).items() if name != "gantt"}


def fits_of(reader: Reader, *states: str) -> tuple[FitRow, ...]:
    return reader.fit_page(FitFilter(states=states), order="plan", limit=1000).rows


def test_every_fit_is_a_row_with_all_there_is_to_know(client: TestClient, store: PlanStore) -> None:
    """Each fit of the log is one row that says its state, target, family, stage and reason."""
    rows = page_at(client, "/").rows
    fits = fits_of(store.reading)
    assert rows.keys() == {fit.id for fit in fits}
    for fit in fits:
        row = rows[fit.id]
        assert fit.target in row
        assert fit.family in row
        assert fit.stage.upper() in row
        assert ("held" if fit.held is not None and fit.state == "ready" else fit.state) in row
        if fit.state == "failed":
            assert (fit.sentence or "") in row
        if fit.state == "ready":
            assert re.search(r"WaitingForCpuStage|Priority|Held|Backoff|Next|Dependency|Resources", row), row
        if fit.metrics is not None:
            assert f"{fit.metrics['score']:+.3f}" in row


def test_the_page_is_made_of_its_living_parts(client: TestClient) -> None:
    """What the stream sends stands on the page already, each part under its id and letter for letter."""
    site = still(client)
    parts = fragments(site, View())
    text = client.get("/").text
    for name, html in parts.items():
        if name == "gantt":  # its clock goes on
            continue
        if name == "rows":
            assert '<tbody id="live-rows">' in text
            continue
        assert f'id="live-{name}"' in html
        assert html.strip() in text, name
    order = re.findall(r'<tr id="live-row-(f_\w+)"></tr>', parts["rows"])
    assert order == list(Page(text).rows)


def test_a_part_changes_only_with_what_it_tells_of(client: TestClient, store: PlanStore) -> None:
    """Where nothing happens no part changes as time goes by; a word about one fit changes its row alone."""
    site = still(client)
    before = parts_but_the_clock(site)
    assert parts_but_the_clock(site) == before
    fit = next(one for one in fits_of(store.reading, "ready") if one.held is None)
    store.hold(fit.id, reason="look at it first", actor="test")
    after = parts_but_the_clock(site)
    changed = {name for name, html in after.items() if before.get(name) != html}
    assert f"row-{fit.id}" in changed
    others = {name for name in changed if name.startswith("row-")} - {f"row-{fit.id}"}
    assert all('class="state wait"' in after[name] for name in others)  # whose place in the queue it was
    assert "rows" not in changed


@pytest.mark.parametrize(
    ("q", "where"),
    [
        ("state:failed", FitFilter(states=("failed",))),
        ("stage:gpu held", FitFilter(stages=("gpu",), held=True)),
        ("family:light_gbm", FitFilter(families=("LightGBM",))),
        ("symbol:tsla target:y_*", FitFilter(symbols=("TSLA",), targets=("y_*",))),
    ],
)
def test_the_filter_box_means_what_it_means_everywhere(
    client: TestClient, store: PlanStore, q: str, where: FitFilter
) -> None:
    """A filter as text leaves the rows that the log has for it, and stays in the box."""
    answer = client.get("/", params={"q": q})
    page = Page(answer.text)
    assert page.rows.keys() == set(store.reading.fit_ids(where))
    assert page.one("input", id="q").attributes["value"] == q


def test_the_counts_by_state_stay_when_a_state_is_chosen(client: TestClient, store: PlanStore) -> None:
    """With one state chosen the counts of the others still lead to them; all leads back to all."""
    page = page_at(client, "/?q=state:failed family:LightGBM")
    told = page.one("ul", class_="chips").text
    tally = store.reading.fit_tally(FitFilter(families=("LightGBM",)))
    assert f"all {sum(tally.values())}" in told
    assert f"succeeded {tally['succeeded']}" in told
    assert "/?q=state%3Asucceeded+family%3ALightGBM" in page.links
    assert "/?q=family%3ALightGBM" in page.links


def test_a_wrong_filter_is_one_sentence_with_the_nearest_word(client: TestClient) -> None:
    """A filter nobody can mean shows no rows, says what is wrong and what was perhaps meant."""
    page = page_at(client, "/?q=state:faild")
    assert page.rows == {}
    assert "did you mean failed?" in page.one(role="alert").text


def test_pages_of_the_table_hold_every_fit_once(
    client: TestClient, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on from page to page in any order shows each fit exactly once."""
    monkeypatch.setattr("daemon.web.jobs_table.ROWS", 7)
    for order in ("urgency", "plan", "newest"):
        address, found = f"/?order={order}", []
        while address:
            page = page_at(client, address)
            found += page.rows
            following = page.all("a", rel="next")
            address = following[0].attributes["href"] if following else ""
        assert sorted(found) == sorted(fit.id for fit in fits_of(store.reading))


def test_a_fit_is_told_whole(client: TestClient, store: PlanStore) -> None:
    """The page of a fit has its curve, every attempt, the end of its log and all of it to download."""
    fit = max(fits_of(store.reading, "running"), key=lambda one: one.attempt)
    page = page_at(client, f"/fits/{fit.id}")
    for part in ("head", "curve", "attempts", "log", "model"):
        page.one(id=f"live-fit-{part}")
    assert page.all("h2")[0].text == fit.name
    assert "learning" in page.one(id="live-fit-curve").text.lower()
    assert page.all("svg", class_="curve")
    assert len(page.all("ul", class_="tabs")) == 1
    tried = store.reading.attempts(fit.id)
    for attempt in tried:
        shown = page_at(client, f"/fits/{fit.id}?attempt={attempt.attempt}")
        assert f"Log of attempt {attempt.attempt}" in shown.one(id="live-fit-log").text
    whole = client.get(f"/fits/{fit.id}/log", params={"attempt": tried[-1].attempt})
    assert whole.content == Path(tried[-1].log or "").read_bytes()
    assert "attachment" in whole.headers["content-disposition"]
    assert page.one("pre", id="log").text.split()[-1] == whole.text.split()[-1]


def test_a_fit_is_found_by_its_name_as_well(client: TestClient, store: PlanStore) -> None:
    """The address of a fit may say JOB/Family in place of its id."""
    fit = fits_of(store.reading, "succeeded")[0]
    assert page_at(client, f"/fits/{fit.name}").all("h2")[0].text == fit.name


def test_the_drawer_shows_the_fit_beside_the_table(client: TestClient, store: PlanStore) -> None:
    """The table with an open fit has the parts of both, and a way to close it that keeps the filter."""
    fit = fits_of(store.reading, "failed")[0]
    page = page_at(client, f"/?q=state:failed&fit={fit.id}")
    assert fit.id in page.rows
    assert fit.sentence in page.one(id="live-fit-head").text
    assert page.one("a", class_="close").attributes["href"] == "/?q=state%3Afailed"


def test_an_unknown_fit_or_plan_is_a_sentence(client: TestClient) -> None:
    """What is not there is told with the nearest name and status 404."""
    assert "no fit" in page_at(client, "/fits/f_none", 404).one("main").text
    assert "no plan" in page_at(client, "/?plan=p_none", 404).one("main").text


def test_the_past_is_shown_as_it_was_and_nothing_can_be_done_there(
    client: TestClient, store: PlanStore
) -> None:
    """A seq gives the rows that the log folds to there; the page lives no more and has no deeds."""
    seq = store.head_seq() * 2 // 3
    page = page_at(client, f"/?at={seq}")
    then = client.app.state.site.past(seq).reader
    fits = fits_of(then)
    assert page.rows.keys() == {fit.id for fit in fits}
    assert any(fit.state != store.reading.fit(fit.id).state for fit in fits)
    for fit in fits:
        assert (fit.state if fit.held is None else "held") in page.rows[fit.id]
    body = page.one("body")
    assert body.attributes["data-lives"] == "no"
    assert not [link for link in page.links if link.startswith("/act")]
    assert not page.all(id="batch")
    assert f"{seq:,}" in page.one("p", class_="band").text


def test_a_moment_is_the_event_before_it(client: TestClient, store: PlanStore) -> None:
    """A time shows the same past as the number of the last event up to it; one without a zone is UTC."""
    event = store.events(after=store.head_seq() // 2, limit=1)[0]
    last = max(one.seq for one in store.events(limit=100_000) if one.at <= event.at)
    text = event.at.strftime("%Y-%m-%d %H:%M:%S.%f")
    page = page_at(client, f"/?at={text}")
    assert f"{last:,}" in page.one("p", class_="band").text


@pytest.mark.parametrize(("at", "status"), [("yesterday", 400), ("1999-01-01", 404), ("0", 404)])
def test_a_moment_that_nobody_can_mean_is_a_sentence(client: TestClient, at: str, status: int) -> None:
    """A moment before the log, or none at all, is told in words."""
    assert page_at(client, f"/?at={at}", status).one("main").text


def test_a_page_without_a_script_comes_again_by_itself(client: TestClient) -> None:
    """The living page asks a browser without a script to load it again; the past does not change."""
    assert 'http-equiv="refresh"' in client.get("/").text
    assert 'http-equiv="refresh"' not in client.get("/?at=50").text


def test_an_empty_log_shows_the_line_to_type(asking: Ask, tmp_path: Path) -> None:
    """Where nothing was planned yet the page says which command to paste and where the drop folder is."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_store(url).close()
    page = page_at(asking(database_url=url), "/")
    assert any("trainwright submit" in one.text for one in page.all("pre"))
    assert not page.rows


def test_the_events_are_paged_each_once(
    client: TestClient, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going back through the events page by page tells each event of the log exactly once, newest first."""
    monkeypatch.setattr("daemon.web.pages.EVENTS_PAGE", 100)
    address, seqs = "/events", []
    while address:
        page = page_at(client, address)
        seqs += [int(one.text) for one in page.all("span", class_="seq")]
        following = page.all("a", rel="next")
        address = following[0].attributes["href"] if following else ""
    assert seqs == [event.seq for event in reversed(store.events(limit=100_000))]


def test_the_events_of_a_kind(client: TestClient, store: PlanStore) -> None:
    """A kind leaves its events only; one that no event has is a sentence."""
    page = page_at(client, "/events?kind=FitFailed")
    wanted = [event.seq for event in store.events(limit=100_000) if event.kind == "FitFailed"]
    assert [int(one.text) for one in page.all("span", class_="seq")] == wanted[::-1]
    assert "FitFailed" in page_at(client, "/events?kind=FitFaild", 400).one("main").text


def test_every_link_leads_somewhere(client: TestClient) -> None:
    """Each link of the pages answers, from the page of everything to one fit, its attempts, and the past."""
    seen: set[str] = set()
    waiting = ["/", "/?at=200"]
    while waiting and len(seen) < 90:
        address = waiting.pop(0).partition("#")[0]
        kind = re.sub(r"f_\w+", "FIT", address)
        if not address or kind in seen or address.endswith("/report"):  # which takes its time
            continue
        seen.add(kind)
        answer = client.get(address)
        assert answer.status_code in (200, 303), f"{address}: {answer.status_code}"
        if answer.headers["content-type"].startswith("text/html") and not address.startswith("/api"):
            waiting += [link for link in Page(answer.text).links if link.startswith("/")]
    assert {"/events", "/fits/FIT", "/act/pause"} <= seen


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose targets are named by people who wish us ill."""
    folder = tmp_path_factory.mktemp("hostile") / "results"
    small_log(folder, hostile=True)
    return folder


def test_hostile_names_are_words_and_nothing_else(asking: Ask, hostile_folder: Path) -> None:
    """Names with tags, quotes, braces and signs that turn the order of letters run, load and hide nothing."""
    url = f"sqlite:///{hostile_folder / 'trainwright.db'}"
    client = asking(database_url=url, results_dir=hostile_folder)
    with open_reader(url) as reader:
        fits = fits_of(reader)
    addresses = [
        "/",
        "/events",
        "/?q=<script>alert(1)</script>",
        '/?q="><img src=x>',
        "/act/cancel?q=state:ready",
    ]
    addresses += [f"/fits/{fit.id}" for fit in fits[:12]] + [f"/?fit={fits[0].id}", "/?at=150"]
    for address in addresses:
        text = client.get(address).text
        page = Page(text)
        assert len(page.all("script")) == 1, address
        assert page.one("script").attributes["src"].startswith("/static/page.js")
        assert not page.all("img") + page.all("style") + page.all("iframe"), address
        for element in page.elements:
            assert not {name for name in element.attributes if name.startswith("on") or name == "style"}
            assert not element.attributes.get("href", "/").lower().startswith(("javascript", "http"))
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", text), address
        assert "{{" not in re.sub(r"\{\{ 7\*7 \}\}", "", text)
        assert "49" not in page.all("title")[0].text
    shown = {
        fit.id: " ".join(fit.target.replace("\u202e", r"\u202e").replace("\u202c", r"\u202c").split())
        for fit in fits
    }
    for fit_id, row in Page(client.get("/").text).rows.items():
        assert shown[fit_id] in row


def test_a_page_of_many_jobs_is_small(asking: Ask, tmp_path: Path) -> None:
    """However many fits there are, the first page stays below its size and shows the most urgent ones."""
    url = f"sqlite:///{tmp_path / 'many.db'}"
    many_jobs(url, jobs=1_000)
    answer = asking(database_url=url).get("/")
    page = Page(answer.text)
    assert len(answer.content) < BYTES_MAX
    assert len(page.rows) == 100
    assert "2,000" in page.one(id="live-jobs").text
    assert "running" in next(iter(page.rows.values()))


@pytest.mark.parametrize("version", GOLDEN)
def test_logs_of_every_released_version_are_shown(asking: Ask, tmp_path: Path, version: str) -> None:
    """Whatever an older version recorded, all its pages can be looked at, now and at any moment of it."""
    url = f"sqlite:///{tmp_path / 'golden.db'}"
    open_store(url).close()
    with restored(url, version) as store:
        fits, head = store.reading.fits(), store.head_seq()
    client = asking(database_url=url)
    page_at(client, "/")
    page_at(client, "/events")
    for fit in fits:
        page_at(client, f"/fits/{fit.id}")
    for seq in range(1, head + 1, max(1, head // 4)):
        page_at(client, f"/?at={seq}")


def test_a_break_is_told_for_a_while(client: TestClient, store: PlanStore) -> None:
    """After a start behind a crash the page says how the daemon before ended; else it does not."""
    for worker in ("dirty/1", "clean/1"):
        start_daemon(store, worker)
    store.daemon_said(DaemonStopped(worker="clean/1", host="clean", cause="stopped by SIGTERM"))
    assert "previous stop" not in page_at(client, "/").one(id="live-notes").text
    for worker in ("dirty/2", "clean/2"):
        start_daemon(store, worker)
    told = page_at(client, "/").one(id="live-notes").text
    assert "previous stop: it was killed or crashed" in told
    assert told.count("previous stop") == 1


def start_daemon(store: PlanStore, worker: str) -> None:
    host = worker.partition("/")[0]
    word = DaemonStarted(worker=worker, host=host, version="1", boot_id="b", pid=1)
    store.daemon_started(word, is_dead=lambda _worker: True)
