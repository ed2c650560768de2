"""The pages of plans: all of them, one with targets, leaks, features, routes and difference, one target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from daemon_samples import settings_in
from fastapi.testclient import TestClient
from many_jobs import HOSTILE, many_jobs, small_log
from page_client import Ask
from page_reader import Page
from store_samples import cs_job, plan_of

from daemon.settings import Settings
from store import PlanStore, open_store
from store.reading import Reader, open_reader

BYTES_MAX = 300_000
PEOPLE = {"accept": "text/html"}


@pytest.fixture
def client(asking: Ask) -> TestClient:
    """A client of the page on this machine."""
    return asking(headers=PEOPLE)


@pytest.fixture
def reader(web_settings: Settings) -> Iterator[Reader]:
    """The log that the page shows."""
    with open_reader(web_settings.database_url) as opened:
        yield opened


@pytest.fixture
def plan(reader: Reader) -> str:
    return reader.plans()[-1].id


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


def test_every_plan_is_a_row_that_leads_to_it(client: TestClient, store: PlanStore, plan: str) -> None:
    """The newest stands first, with how its fits stand."""
    other = plan_of(cs_job("y_other"))
    store.accept(other, source="inbox/other", name="other")
    page = page_at(client, "/plans")
    rows = [row.text for row in page.all("tr")][1:]
    assert [row.split()[0] for row in rows] == [other.id, plan]
    assert "2 open" in rows[0]
    assert f"/plans/{plan}" in page.links


def test_without_a_plan_the_line_to_type_is_shown(asking: Ask, sqlite_url: str) -> None:
    """The list of plans of an empty log is no empty table."""
    page = page_at(asking(database_url=sqlite_url), "/plans")
    assert "trainwright submit" in page.one("main").text
    assert not page.all("table")


def test_a_plan_shows_targets_leaks_features_and_routes(client: TestClient, plan: str) -> None:
    """The whole way from the ranking to the jobs stands on one page, pictures and tables alike."""
    page = page_at(client, f"/plans/{plan}")
    sections = {
        section.attributes["id"]: section.text
        for section in page.all("section")
        if "id" in section.attributes
    }
    assert sections.keys() == {"routes", "targets", "left-out", "leaks", "difference"}
    assert "cross sectional" in sections["routes"]
    assert "y_fwd_ret_1m" in sections["targets"]
    assert "rank_ic" in sections["targets"]
    assert "y_noise" in sections["left-out"]
    assert "dropped: not to be told from chance" in sections["left-out"]
    assert "f17 blocked shift" in sections["leaks"]
    assert len(page.all("svg", class_="flows")) == len(page.all("svg", class_="forest")) == 1
    assert f"/plans/{plan}?target=y_fwd_ret_1m" in page.links


def test_the_jobs_of_a_target_lead_to_its_fits(client: TestClient, reader: Reader, plan: str) -> None:
    """The number of jobs is a filter of the table of fits that means just these."""
    page = page_at(client, f"/plans/{plan}")
    link = next(link for link in page.links if "q=target" in link and "y_fwd_ret_1m" in link)
    rows = page_at(client, link).rows
    assert set(rows) == {fit.id for fit in reader.fits(plan=plan, target="y_fwd_ret_1m")}


def test_one_target_is_told_whole(client: TestClient, plan: str) -> None:
    """Scores, leaks, every feature with its reason, routes and how its fits stand."""
    text = page_at(client, f"/plans/{plan}?target=y_fwd_ret_1m").one("main").text
    for words in ("Measured", "Features", "8 chosen", "Routes", "cross sectional", "cs_y_fwd_ret_1m"):
        assert words in text
    dropped = page_at(client, f"/plans/{plan}?target=y_leaky").one("main").text
    assert "not trained" in dropped
    assert "y one bar later" in dropped


def test_the_first_plan_has_no_difference_and_the_next_one_has(
    client: TestClient, store: PlanStore, plan: str
) -> None:
    """What came and went is told against the plan before, or against any that is asked for."""
    assert "the first plan of this log" in page_at(client, f"/plans/{plan}").one("main").text
    other = plan_of(cs_job("y_other"))
    store.accept(other, source="s", name="other")
    text = page_at(client, f"/plans/{other.id}").one("section", id="difference").text
    assert f"from the plan {plan}: 20 jobs before, 1 now" in text
    assert "+ cs_y_other" in text
    assert "more: all" in text  # of the twenty that went a dozen is shown
    whole = page_at(client, f"/plans/{other.id}?against={plan}").one("section", id="difference").text
    assert whole.count("- sym_y_fwd") == 18
    assert "more: all" not in whole


@pytest.mark.parametrize(
    "address", ["/plans/p_nobody", "/plans/{plan}?target=nope", "/plans/{plan}?against=p_x"]
)
def test_what_is_not_there_is_a_page_with_a_sentence(client: TestClient, plan: str, address: str) -> None:
    """An unknown plan, target or other plan is answered 404 and says what to do."""
    page = page_at(client, address.format(plan=plan), status=404)
    assert "/plans" in page.one("main").text


def test_the_past_has_its_own_counts_and_no_plan_before_its_acceptance(
    client: TestClient, reader: Reader, plan: str
) -> None:
    """Right behind the acceptance nothing was done yet; before it there was no such plan."""
    accepted = reader.events(plan=plan, kinds=("PlanAccepted",))[0].seq
    jobs = reader.events(plan=plan, kinds=("JobPlanned",))[-1].seq
    text = page_at(client, f"/plans/{plan}?at={jobs}").one("main").text
    assert "40 open" in text
    assert "y_fwd_ret_1m" in text
    assert page_at(client, f"/plans/{plan}?at={accepted - 1}", status=404)


def test_names_that_wish_us_ill_are_shown_as_they_are_written(tmp_path: Path) -> None:
    """Markup, quotes, long names and signs that turn text do nothing in any of the pages of a plan."""
    from daemon.web.app import create_app

    small_log(tmp_path / "results", hostile=True)
    settings = settings_in(tmp_path)
    with open_reader(settings.database_url) as reader:
        plan = reader.plans()[0].id
    with TestClient(create_app(settings), base_url="http://localhost", headers=PEOPLE) as client:
        for address in (
            "/plans",
            f"/plans/{plan}",
            *(f"/plans/{plan}?target={quote(name)}" for name in HOSTILE),
        ):
            text = client.get(address).text
            assert Page(text).one("main")
            assert "<script>alert" not in text
            assert "onerror=alert(1)>'\"" not in text
            assert "\u202e" not in text
            assert not [one for one in Page(text).all("img") if "onerror" in one.attributes]


def test_a_plan_of_many_targets_is_a_page_of_bounded_size(tmp_path: Path) -> None:
    """However many targets there are a page has a hundred of them, and the next ones are one link away."""
    from daemon.web.app import create_app

    settings = settings_in(tmp_path)
    (tmp_path / "results").mkdir(exist_ok=True)
    plan = many_jobs(settings.database_url, jobs=1500).id
    with TestClient(create_app(settings), base_url="http://localhost", headers=PEOPLE) as client:
        answer = client.get(f"/plans/{plan}")
        assert answer.status_code == 200
        assert len(answer.content) < BYTES_MAX
        page = Page(answer.text)
        assert "1 to 100 of 139 targets" in page.one("section", id="targets").text
        following = next(link for link in page.links if "offset=100" in link)
        assert "101 to 139 of 139 targets" in page_at(client, following).one("section", id="targets").text
