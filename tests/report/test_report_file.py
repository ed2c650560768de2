"""The report as a file: whole in itself, harmless whatever a plan is called, the same for the same log."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from many_jobs import Shares, many_jobs, small_log
from report_samples import Elements, filled, report_on, words_of

from store import open_store
from store.events import FitStarted, FitSucceeded
from store.reading import Reader

LARGEST_BYTES = 5_000_000
NOTHING_RAN = Shares(succeeded=0.0, failed=0.0, unclear=0.0, cancelled=0.0, held=0.0)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on a small log."""
    return report_on(filled(tmp_path_factory.mktemp("log"))[0])


def test_the_file_needs_nothing_from_outside_and_runs_nothing(html: str) -> None:
    """There is no script, no frame, no form and no address of another place in it."""
    found = Elements(html).found
    assert not {"script", "iframe", "object", "embed", "form", "link", "img"} & {tag for tag, _ in found}
    attributes = [(name, value or "") for _, attrs in found for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "style")]
    assert all(value.startswith("#") for name, value in attributes if name == "href")
    assert not re.findall(r"url\((?!#)", html)
    assert "@import" not in html


def test_its_own_policy_allows_its_style_and_nothing_else(html: str) -> None:
    """The policy in the file names the very text between the style tags by its hash."""
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(
        attrs["content"] or ""
        for tag, attrs in Elements(html).found
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_every_element_is_closed_and_every_link_leads_somewhere(html: str) -> None:
    """The document is well formed, its ids are unique, and each link has its place."""
    parsed = Elements(html)
    assert parsed.wrong == []
    assert parsed.open == []
    ids = [attrs["id"] for _, attrs in parsed.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {(attrs["href"] or "")[1:] for tag, attrs in parsed.found if tag == "a"}
    assert links
    assert links <= set(ids)


def test_it_is_of_light_and_dark_and_of_paper(html: str) -> None:
    """Colours follow the reader's, and paper has rules of its own."""
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert "<html lang" in html


def test_the_same_log_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour later the report is the same, also while fits are at work."""
    url = small_log(tmp_path)
    first = report_on(url)
    assert "running" in first
    now = Reader.now
    monkeypatch.setattr(Reader, "now", lambda reader: now(reader) + 3_600_000_000)
    assert report_on(url) == first


def test_names_of_a_plan_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    """Markup, quotes, templates and signs that turn the text around come out as text."""
    html = report_on(small_log(tmp_path, hostile=True))
    parsed = Elements(html)
    assert not {"script", "img"} & {tag for tag, _ in parsed.found}
    assert not [name for _, attrs in parsed.found for name in attrs if name.startswith("on")]
    assert parsed.wrong == []
    assert "y_<script>alert(1)<script>" in words_of(html)
    assert "{{ 7*7 }}" in words_of(html)
    assert "y_49" not in words_of(html)
    assert "\u202e" not in html


def test_a_report_on_many_jobs_stays_small_and_says_what_it_left_out(tmp_path: Path) -> None:
    """However many fits there are the file can be sent by mail; each list says how many more there are."""
    url = f"sqlite:///{tmp_path}/many.db"
    many_jobs(url, jobs=1200)
    html = report_on(url)
    assert len(html.encode()) < LARGEST_BYTES
    left_out = re.findall(r"([\d,]+) more ([a-z ]+) not shown here: trainwright [a-z]+", html)
    assert {noun for _, noun in left_out} >= {"trained targets", "open fits", "models"}
    assert "had not ended" in html


def test_a_report_on_a_plan_of_which_nothing_ran_says_so(tmp_path: Path) -> None:
    """Without any model there are sentences instead of empty tables."""
    url = f"sqlite:///{tmp_path}/many.db"
    many_jobs(url, jobs=3, running=0, shares=NOTHING_RAN)
    html = report_on(url)
    with open_store(url) as store:
        kinds = {event.kind for event in store.reading.events(limit=1000)}
    assert not kinds & {FitStarted.kind, FitSucceeded.kind}
    assert "No model is finished yet" in words_of(html)
    assert "There is no finished model yet, so there is no score." in words_of(html)
    assert Elements(html).wrong == []
