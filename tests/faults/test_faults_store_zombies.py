"""Workers that freeze past their lease and wake up when another has their fit; and a clock that jumps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from reporting import LONG
from syscall_gate import NO_GATE, is_possible

from store.database import sqlite_path

ZOMBIES = 5_000 if LONG else 500
JUMPS = 1_000 if LONG else 50
FROZEN, STILL, CLOCK = "zombies", "frozen at each write call", "clock jumps -1 h, +2 h"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_every_late_word_of_a_zombie_is_refused(sqlite_url: str) -> None:
    """Whatever a frozen worker says when it wakes, under whatever name, its successor's word stands alone."""
    found = run("zombie_campaign", sqlite_path(sqlite_url), faults=ZOMBIES)
    must_be_sound(FROZEN, found)
    assert found["refused"] == found["faults"] == ZOMBIES
    assert found["completions"] == ZOMBIES


@pytest.mark.parametrize("mutant", ["no fence", "renew without number"])
def test_the_zombies_catch_a_store_without_its_fence(sqlite_url: str, mutant: str) -> None:
    """A store that asks nobody for the fence takes late words; one that renews without it, late renewals."""
    found = run("zombie_campaign", sqlite_path(sqlite_url), faults=20, mutant=mutant)
    must_be_caught(FROZEN, mutant, found, by=("stale",))


def test_a_jumping_clock_never_lets_two_write(sqlite_url: str) -> None:
    """With the wall clock going back an hour and on two, leases end early, and no late word is taken."""
    found = run("clock_campaign", sqlite_path(sqlite_url), faults=JUMPS)
    must_be_sound(CLOCK, found)
    assert found["backward"] > 0, "the log's time never went back: the clock did not jump"
    assert found["expired"] > 0, "no lease ended by a jump"
    assert found["refused"] > 0, "no holder was overtaken"


def test_the_jumps_catch_a_store_without_its_fence(sqlite_url: str) -> None:
    """Without the fence the same jumps let two workers write about one fit."""
    found = run("clock_campaign", sqlite_path(sqlite_url), faults=50, mutant="no fence")
    must_be_caught(CLOCK, "no fence", found, by=("stale",))


@pytest.mark.skipif(not is_possible(), reason=NO_GATE)
@pytest.mark.parametrize("mutant", ["", "no fence"])
def test_a_worker_frozen_inside_its_word_speaks_or_is_overtaken_never_both(
    memory_folder: Path, sqlite_url: str, mutant: str
) -> None:
    """Frozen at any call while its lease runs out, a worker keeps all others out or has its word refused."""
    shutil.copyfile(sqlite_path(sqlite_url), memory_folder / "migrated.db")
    found = run("frozen_campaign", memory_folder, every=1 if LONG or mutant else 2, mutant=mutant)
    if mutant:
        must_be_caught(STILL, mutant, found, by=("stale",))
        return
    must_be_sound(STILL, found)
    assert found["locked"] > 0, "nobody was ever kept out"
    assert found["taken over"] > 0, "nobody was ever overtaken"
