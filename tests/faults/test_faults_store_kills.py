"""Workers killed at random moments, thousands of times: nothing told is lost, nothing is done twice."""

from __future__ import annotations

import pytest
from campaigns import must_be_caught, must_be_sound, run
from reporting import LONG

from store.database import sqlite_path

NAME = "kill -9 of workers, SQLite"
KILLS = 10_000 if LONG else 1_000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_random_kills_lose_nothing_and_repeat_nothing(sqlite_url: str) -> None:
    """Through thousands of kills all that was acknowledged is there, once; in the end every fit has ended."""
    found = run("kill_campaign", sqlite_path(sqlite_url), faults=KILLS)
    must_be_sound(NAME, found)
    assert found["faults"] == KILLS
    assert found["acknowledged"] > KILLS
    assert found["repeated"] > 0, "no word of unknown fate was repeated"
    assert found["unfinished"] == 0


@pytest.mark.parametrize("mutant", ["late projections", "lazy commit"])
def test_the_kills_catch_a_store_with_a_planted_fault(sqlite_url: str, mutant: str) -> None:
    """Projections outside the transaction, and a commit left for later, are found by the same campaign."""
    found = run("kill_campaign", sqlite_path(sqlite_url), faults=200, mutant=mutant)
    by = ("lost",) if mutant == "lazy commit" else ()
    must_be_caught(NAME, mutant, found, by=by)
