"""The map of the house names real tests and real files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
}


def invariants() -> list[tuple[str, str]]:
    """The rows of the table of invariants: what holds, and what holds it."""
    section = MAP.partition("## Invariants")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [(cells[0].strip(), cells[1].strip()) for cells in rows[1:]]


@pytest.mark.parametrize(("promise", "tests"), invariants())
def test_every_invariant_is_held_by_a_test_that_exists(promise: str, tests: str) -> None:
    """Each promise names at least one test, and each test it names is there."""
    named = re.findall(r"`(test_\w+)`", tests)
    assert named, promise
    assert set(named) <= DEFINED, promise


def test_every_test_named_anywhere_exists() -> None:
    """A test that was renamed is renamed on the map too."""
    assert set(re.findall(r"`(test_\w+)`", MAP)) <= DEFINED


def test_every_file_named_exists() -> None:
    """The entry points and the code map lead to files of the tree."""
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", MAP)
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).is_file()] == []
