"""A disk without space refuses clearly, loses nothing, and the same call goes through when there is space."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from privileges import missing
from reporting import LONG

from store.database import sqlite_path

NAME = "full disk"
FILLED = 200 if LONG else 20
pytestmark = [pytest.mark.timeout(3600), missing()]


@pytest.fixture
def folder(tmp_path: Path, sqlite_url: str) -> Path:
    """A folder with a migrated file to start from."""
    shutil.copyfile(sqlite_path(sqlite_url), tmp_path / "migrated.db")
    return tmp_path


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(folder: Path) -> None:
    """Filled up again and again, the store says so, keeps what it told, and takes the same call later."""
    found = run("disk_campaign", folder, faults=FILLED)
    must_be_sound(NAME, found)
    assert found["causes"] == ["database or disk is full"]
    assert found["acknowledged"] > FILLED


def test_a_full_disk_catches_a_commit_left_for_later(folder: Path) -> None:
    """A store that acknowledges before it has committed loses that event on a full disk."""
    found = run("disk_campaign", folder, faults=10, mutant="lazy commit")
    must_be_caught(NAME, "lazy commit", found, by=("lost",))
