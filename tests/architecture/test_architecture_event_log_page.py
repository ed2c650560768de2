"""The page about the event log names real tests, every event of a fit, and every cause of a failure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from store import retries
from store.events import FitEvent

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "explanation" / "event-log.md").read_text(encoding="utf-8")
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
}


def promises() -> list[tuple[str, str]]:
    """The rows of the table of promises: the promise, and what holds it."""
    section = PAGE.partition("## Promises")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [(cells[0].strip(), cells[2].strip()) for cells in rows[1:]]


@pytest.mark.parametrize(("promise", "tests"), promises())
def test_every_promise_is_held_by_tests_that_exist(promise: str, tests: str) -> None:
    """Each promise names at least one test, and each test it names is there."""
    named = re.findall(r"`(test_\w+)`", tests)
    assert named, promise
    assert set(named) <= DEFINED, promise


def test_every_test_named_on_the_page_exists() -> None:
    """A test that was renamed is renamed on the page too."""
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= DEFINED


@pytest.mark.parametrize("kind", [event.kind for event in get_args(FitEvent)])
def test_every_event_of_a_fit_stands_on_the_page(kind: str) -> None:
    """The state machine is complete: no event of a fit is left out."""
    assert kind in PAGE.partition("## A fit: states")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", ["LOST_WORKER", "DISK_FULL", "OUT_OF_MEMORY", "BAD_INPUT"])
def test_every_cause_with_a_rule_of_its_own_stands_on_the_page(name: str) -> None:
    """What the policy decides by the cause is told."""
    assert f"`{getattr(retries, name)}`" in PAGE
