"""Very many names in the drop folder: none is missed and none taken twice, whatever the kernel tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from drop_flood_campaign import NO_WATCH
from privileges import missing
from reporting import LONG, figure

WHAT = "names in the drop folder"
SIZES = {"names": 15_000, "plans": 6_000, "good": 300} if LONG else {"names": 1_500, "plans": 60, "good": 5}
BELOW = {"names": 5_000 if LONG else 300, "plans": 0, "good": 0}
FEW = {"names": 20, "plans": 0, "good": 0}
MOUNTED = ("unshare", "--mount")
DEFECTS = [
    ("refusals have no identity", "away", "doubles"),
    pytest.param("never looks by itself", "never looks", "lost", marks=missing("unshare", "mount")),
]
needs_namespace = pytest.mark.skipif(
    subprocess.run([*NO_WATCH, "true"], capture_output=True, check=False).returncode != 0,
    reason="no right to make a user namespace with limits of its own",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ngboost_missing"),
    pytest.mark.timeout(3000 if LONG else 300),
]


@needs_namespace
def test_no_name_is_missed_or_taken_twice(memory_folder: Path) -> None:
    """Names come to a daemon that is away, dies at the worst moment, is killed, frozen, or has no watch."""
    counts = run(
        "drop_flood_campaign", memory_folder, phases=["away", "overflow", "no watch"], seed=1, **SIZES
    )
    print(*counts["problems"], sep="\n")
    missed, twice, names = counts["lost"], counts["doubles"], counts["faults"]
    found = f"{missed} missed, {twice} twice of {names:,}, {counts['lives']} lives"
    figure("files in the inbox missed or taken twice", found, bar="0", met=missed + twice == 0)
    must_be_sound(WHAT, counts)
    assert counts["lives"] == 5
    assert counts["accepted"] > 0


@missing("unshare", "mount")
def test_names_that_appear_without_an_event_are_taken(memory_folder: Path) -> None:
    """On a file system that tells nobody of a change, the folder is looked through all the same."""
    counts = run("drop_flood_campaign", memory_folder, wrapped=MOUNTED, phases=["no events"], seed=2, **BELOW)
    print(*counts["problems"], sep="\n")
    missed, twice, names = counts["lost"], counts["doubles"], counts["faults"]
    found = f"{missed} missed, {twice} twice of {names:,}"
    figure("  the same where no event tells of them", found, bar="0", met=missed + twice == 0)
    must_be_sound(WHAT, counts)


@pytest.mark.parametrize(("defect", "phase", "count"), DEFECTS if LONG else DEFECTS[:1])
def test_a_planted_defect_of_the_folder_is_found(
    defect: str, phase: str, count: str, memory_folder: Path
) -> None:
    """A daemon that does not know its own refusal again, or never looks by itself, is seen to."""
    wrapped = MOUNTED if phase == "never looks" else ()
    planted = defect if phase == "away" else ""
    counts = run(
        "drop_flood_campaign", memory_folder, wrapped=wrapped, phases=[phase], seed=3, defect=planted, **FEW
    )
    must_be_caught(WHAT, defect, counts, by=(count,))
