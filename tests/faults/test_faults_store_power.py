"""The power is cut under a file system and under a disk: what was acknowledged before is there after."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from privileges import missing
from reporting import LONG

from store.database import sqlite_path

CUTS = 1_000 if LONG else 50
MUTANT = "synchronous=NORMAL"
EXT4 = missing("/dev/loop-control", "mkfs.ext4")
XFS = missing("/dev/loop-control", "mkfs.xfs")
DISK = missing("/dev/loop-control", "/dev/fuse", "mkfs.ext4")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def folder(memory_folder: Path, sqlite_url: str) -> Path:
    """A folder with a migrated file to start from."""
    shutil.copyfile(sqlite_path(sqlite_url), memory_folder / "migrated.db")
    return memory_folder


@pytest.mark.parametrize("kind", [pytest.param("ext4", marks=EXT4), pytest.param("xfs", marks=XFS)])
def test_a_power_cut_of_the_file_system_loses_nothing_acknowledged(folder: Path, kind: str) -> None:
    """Cut off while workers write and mounted anew, a file system has every event of before the cut."""
    found = run("power_campaign", folder, level="file system", kind=kind, faults=CUTS)
    must_be_sound(f"power cut, {kind}", found)
    assert found["acknowledged"] > CUTS


@DISK
def test_a_power_cut_of_the_disk_loses_nothing_acknowledged(folder: Path) -> None:
    """From a disk that keeps a random, torn part of what was not flushed, all that was told comes back."""
    found = run("power_campaign", folder, level="block device", faults=CUTS)
    must_be_sound("power cut, torn disk", found)
    assert found["acknowledged"] > CUTS
    assert found["in_flight"] > CUTS, "hardly any cut came while something was being written"


@EXT4
def test_the_file_system_cuts_catch_a_weaker_durability(folder: Path) -> None:
    """A store with synchronous=NORMAL loses acknowledged events in the same campaign."""
    found = run("power_campaign", folder, level="file system", faults=10, mutant=MUTANT)
    must_be_caught("power cut, ext4", MUTANT, found, by=("lost",))


@DISK
def test_the_disk_cuts_catch_a_weaker_durability(folder: Path) -> None:
    """A store with synchronous=NORMAL loses acknowledged events on the torn disk too."""
    found = run("power_campaign", folder, level="block device", faults=10, mutant=MUTANT)
    must_be_caught("power cut, torn disk", MUTANT, found, by=("lost",))
