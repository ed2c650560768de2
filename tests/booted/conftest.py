"""Tests in a booted machine share the samples of the daemon's tests; without root they are skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "daemon")]

from booted_host import TrainingHost  # noqa: E402  the samples must be on the path first
from booted_image import ImageAbsent, base_image, missing  # noqa: E402
from booted_machine import Machine, booted, unreadable  # noqa: E402

FIRST_TIME_SECONDS = 900  # the image is made within the first test's time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder time for the image, where they do not say how much they need."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(FIRST_TIME_SECONDS))


@pytest.fixture(scope="session")
def image() -> Path:
    """The root file system of the machines."""
    if reason := missing() or unreadable():
        pytest.skip(reason)
    try:
        return base_image()
    except ImageAbsent as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def machine(image: Path) -> Iterator[Machine]:
    """A machine that is on, one for all tests of a file."""
    with booted() as found:
        yield found


@pytest.fixture(scope="module")
def host(machine: Machine) -> TrainingHost:
    """The training host, installed and not started."""
    found = TrainingHost(machine)
    found.install()
    return found
