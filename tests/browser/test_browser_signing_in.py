"""A page behind a token in a real browser: asked for once; readers are offered nothing they may not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from eye import OpenEye, serious_findings
from living_site import LivingSite
from page_words import await_connection
from playwright.sync_api import Page

TOKEN, READ_TOKEN = "a-token-for-everything", "a-token-to-look-only"


@pytest.fixture
def guarded_site(tmp_path: Path, forty: Path) -> Iterator[LivingSite]:
    """A page with a token for everything and one for those who only look."""
    settings = {}
    for name, token in (("web_token_file", TOKEN), ("web_read_token_file", READ_TOKEN)):
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(f"{token}\n", encoding="utf-8")
        settings[name] = str(path)
    shutil.copytree(forty, tmp_path / "results")
    made = LivingSite(tmp_path / "results", settings=settings)
    made.serve()
    yield made
    made.close()


def sign_in(page: Page, token: str) -> None:
    """Give a token."""
    page.get_by_label("Token").fill(token)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def test_a_token_is_asked_for_once_and_readers_only_look(eye: OpenEye, guarded_site: LivingSite) -> None:
    """A wrong token is refused; the right one opens the page that was asked for, live."""
    for token, acts in ((READ_TOKEN, 0), (TOKEN, 1)):
        watching = eye(guarded_site.url)
        watching.expected = ("401", "403")
        page = watching.open("/?q=state:ready")
        assert not serious_findings(page)
        sign_in(page, "not-a-token-of-this-page")
        page.get_by_role("alert").wait_for()
        sign_in(page, token)
        await_connection(page)
        assert "q=state" in page.url
        assert page.locator("#batch:visible").count() == acts
        assert page.locator("#live-header .act:visible").count() == 2 * acts
