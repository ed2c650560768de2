"""Each operation of the store by itself, crashed or refused by the disk at each system call that writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from reporting import LONG
from syscall_gate import NO_GATE, is_possible

from store.database import sqlite_path

CRASH, REFUSAL, CREATION = "crash at each write call", "disk error at each write call", "crash in a migration"
KEEPING = "crash in seal, archive, backup"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not is_possible(), reason=NO_GATE),
]


@pytest.fixture
def folder(memory_folder: Path, sqlite_url: str) -> Path:
    """A folder with a migrated file to start from."""
    shutil.copyfile(sqlite_path(sqlite_url), memory_folder / "migrated.db")
    return memory_folder


def test_a_crash_at_any_writing_call_leaves_an_operation_whole_or_absent(folder: Path) -> None:
    """Killed at call 1, 2, 3 … until it ends unharmed, each operation is there or not, and is repeatable."""
    found = run("syscall_campaign", folder, kind="crashes")
    must_be_sound(CRASH, found)
    assert min(found["points"].values()) > 20, "an operation that does not write"


def test_a_disk_error_at_any_writing_call_is_told_and_can_be_repeated(folder: Path) -> None:
    """After EIO and after ENOSPC at any call the same process says the word again, and it is there once."""
    found = run("syscall_campaign", folder, kind="refusals", every=1 if LONG else 3)
    must_be_sound(REFUSAL, found)
    assert found["raised"] > found["faults"] / 4, "hardly any error reached the store"


def test_tables_are_made_whole_after_a_crash_at_any_call(folder: Path) -> None:
    """Killed at any call while the tables are made, the same command again makes them as they belong."""
    must_be_sound(CREATION, run("syscall_campaign", folder, kind="creations", every=1 if LONG else 4))


def test_the_crashes_catch_projections_outside_the_transaction(folder: Path) -> None:
    """A store that writes its projections after the commit is found at the first operation that has any."""
    found = run("syscall_campaign", folder, kind="crashes", mutant="late projections")
    must_be_caught(CRASH, "late projections", found)


def test_a_crash_while_the_log_is_kept_leaves_it_sound(folder: Path) -> None:
    """Seal, archive, retirement, backup, restore and transfer, killed at any call, can be called again."""
    found = run("keeping_campaign", folder, every=1 if LONG else 7)
    must_be_sound(KEEPING, found)
    assert all(found["points"].values())
