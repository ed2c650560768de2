"""A whole host in front of a person: a real daemon trains, dies by kill -9, comes back and goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import document, drop, job, write_data
from eye import OpenEye, serious_findings
from living_site import COMMAND, LivingSite
from page_words import await_connection, is_marked, mark, told_events
from playwright.sync_api import Page

from daemon.views.event_words import event_told
from store import open_store
from store.reading import Reader

LONG_ENOUGH = {
    "LightGBM": {"rounds": 300, "patience": 300, "chunk_rounds": 20},
    "LSTM": {"epochs": 20, "patience": 20, "batch_rows": 64, "hidden": 16},
}


@pytest.fixture
def host_site(tmp_path: Path) -> Iterator[LivingSite]:
    """A daemon without work that serves its page."""
    write_data(tmp_path / "data", rows=900)
    tables = "".join(
        f"[training.params.{family}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        for family, values in LONG_ENOUGH.items()
    )
    made = LivingSite(
        tmp_path / "results", settings={"data_dir": str(tmp_path / "data"), "host_name": "trainer-1"},
        tables=tables,
    )  # fmt: skip
    made.start_daemon()
    yield made
    made.close()


def loud(reader: Reader) -> list[int]:
    """The seqs of the events that the page tells of, the newest first."""
    found = reader.events(limit=100_000)
    return [event.seq for event in reversed(found) if not event_told(event).quiet]


def all_ended(page: Page) -> None:
    """Wait until the page says that the plan has ended."""
    page.locator("#live-header .plans", has_text="ended").wait_for(timeout=180_000)


@pytest.mark.slow
def test_a_person_sees_a_plan_through_a_power_cut(eye: OpenEye, host_site: LivingSite) -> None:
    """The open page shows a dropped plan by itself, and after kill -9 of daemon and page how it goes on.

    In the end the list has every event of the log once, in order, and the page was never loaded again.
    """
    watching = eye(host_site.url)
    watching.expected = ("net::ERR_",)
    page = watching.open()
    await_connection(page)
    mark(page)
    families = ("LightGBM", "XGBoost", "LSTM")
    drop(host_site.folder.parent / "inbox", "nightly", document(job(families)))
    page.locator("#live-rows .state", has_text="running").first.wait_for()
    host_site.kill()
    await_connection(page, "reconnecting")
    host_site.start_daemon()
    await_connection(page)
    all_ended(page)
    page.locator("#live-rows .state", has_text="succeeded").nth(len(families) - 1).wait_for()
    with open_store(host_site.database_url) as store:
        wanted = loud(store.reading)
    page.wait_for_function("(seq) => document.querySelector(`#ticker [data-event='${seq}']`)", arg=wanted[0])
    assert told_events(page) == wanted[: len(told_events(page))]
    assert len(told_events(page)) == min(len(wanted), 60)
    assert is_marked(page)
    page.reload()
    await_connection(page)
    assert told_events(page) == wanted[: len(told_events(page))]


@pytest.mark.slow
def test_a_finished_plan_can_be_read_and_sent(eye: OpenEye, host_site: LivingSite, tmp_path: Path) -> None:
    """A finished fit shows its model, the plan its reasons; the report is a file that needs no server."""
    watching = eye(host_site.url)
    page = watching.open()
    drop(host_site.folder.parent / "inbox", "nightly", document(job(("XGBoost",))))
    all_ended(page)
    page.locator("#live-rows a[data-fit]").first.click()
    page.locator("#drawer #live-fit-model svg").first.wait_for()
    assert not serious_findings(page)
    with open_store(host_site.database_url) as store:
        (plan,) = store.reading.plans()
    page.goto(f"{host_site.url}/plans/{plan.id}")
    assert not serious_findings(page)
    page.goto(f"{host_site.url}/plans/{plan.id}/report")
    assert not serious_findings(page)
    report = tmp_path / "report.html"
    subprocess.run(
        [*COMMAND, "report", "--results-dir", str(host_site.folder), "-o", str(report)], check=True
    )
    shutil.move(report, tmp_path / "sent.html")
    read = eye("file://" + str(tmp_path / "sent.html"), offline=True, java_script_enabled=True).open("")
    assert read.locator("svg").count()
    assert not serious_findings(read)
