"""Debian's chromium for the tests of what people see; without it they are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eye import ARGUMENTS, CHROMIUM, WATCH, Eye, OpenEye
from living_site import LivingSite
from many_jobs import copied_log, many_jobs, small_log
from playwright.sync_api import Browser, sync_playwright


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none."""
    if CHROMIUM.exists():
        return
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is not installed"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; of a module, for while it is driven no other event loop may run in this thread."""
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture
def eye(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenEye]:
    """Makes eyes for a test; in the end none may have a complaint that was not expected."""
    for name in request.fixturenames:
        if name.endswith("site"):
            request.getfixturevalue(name)  # is there before the first eye, and goes after the last
    made: list[Eye] = []
    with ExitStack() as stack:

        def open_eye(url: str, **context: Any) -> Eye:
            new = browser.new_context(**context)
            stack.callback(new.close)
            new.add_init_script(WATCH)
            made.append(Eye(new, url))
            return made[-1]

        yield open_eye
        complaints = [complaint for one in made for complaint in one.unexpected()]
    assert not complaints


@pytest.fixture(scope="session")
def ten_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log of 10,000 jobs, to be copied."""
    folder = tmp_path_factory.mktemp("ten-thousand")
    many_jobs(f"sqlite:///{folder / 'trainwright.db'}")
    return folder / "trainwright.db"


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of forty fits and the log files of their attempts, to be copied."""
    folder = tmp_path_factory.mktemp("forty") / "results"
    small_log(folder)
    return folder


@pytest.fixture
def site(tmp_path: Path, forty: Path) -> Iterator[LivingSite]:
    """A page over a log of forty fits of its own, served."""
    shutil.copytree(forty, tmp_path / "results")
    made = LivingSite(tmp_path / "results")
    made.serve()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory, forty: Path) -> Iterator[LivingSite]:
    """A page over a log of forty fits, for tests that only look."""
    folder = tmp_path_factory.mktemp("shared") / "results"
    shutil.copytree(forty, folder)
    made = LivingSite(folder)
    made.serve()
    yield made
    made.close()


@pytest.fixture(scope="module")
def big_site(tmp_path_factory: pytest.TempPathFactory, ten_thousand: Path) -> Iterator[LivingSite]:
    """A page over 10,000 jobs."""
    folder = tmp_path_factory.mktemp("big") / "results"
    copied_log(ten_thousand, folder)
    made = LivingSite(folder)
    made.serve()
    yield made
    made.close()
