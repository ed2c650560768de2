"""A log with some forty fits, and the page of it, asked without a network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "daemon"), str(TESTS / "browser"), str(TESTS / "web")]

from daemon_samples import settings_in  # noqa: E402
from many_jobs import copied_log, small_log  # noqa: E402
from page_client import Ask, TestClient  # noqa: E402

from daemon.settings import Settings  # noqa: E402


@pytest.fixture(scope="session")
def kept_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log that no test writes into."""
    folder = tmp_path_factory.mktemp("kept") / "results"
    small_log(folder)
    return folder


@pytest.fixture
def log_folder(kept_log: Path, tmp_path: Path) -> Path:
    """A results folder with a log of its own."""
    folder = tmp_path / "results"
    folder.mkdir()
    copied_log(kept_log / "trainwright.db", folder)
    return folder


@pytest.fixture
def web_settings(log_folder: Path) -> Settings:
    """Settings of the host with that log."""
    return settings_in(log_folder.parent)


@pytest.fixture
def asking(web_settings: Settings) -> Iterator[Ask]:
    """Returns a client of the page, with settings and headers as asked."""
    from dataclasses import replace

    from daemon.web.app import create_app

    opened: list[TestClient] = []

    def ask(
        *, headers: dict[str, str] | None = None, base: str = "http://localhost", **settings: Any
    ) -> TestClient:
        app = create_app(replace(web_settings, **settings))
        client = TestClient(
            app, base_url=base, headers=headers, follow_redirects=False, raise_server_exceptions=False
        )
        client.__enter__()
        opened.append(client)
        return client

    yield ask
    for client in opened:
        client.__exit__(None, None, None)
