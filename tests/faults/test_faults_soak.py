"""A host that is disturbed all the time loses nothing, does nothing twice, and does not grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from privileges import missing
from reporting import LONG, figure
from soak_campaign import growth
from soak_site import Sample

NAME = "soak"
SECONDS = 3600 if LONG else 14
pytestmark = [pytest.mark.timeout(6000), missing()]


@pytest.mark.slow
def test_a_disturbed_host_loses_nothing_and_does_not_grow(tmp_path: Path) -> None:
    """Mixed plans, a fault every half minute (every second or two in the short form): all ends, once."""
    found = run(
        "soak_campaign",
        tmp_path,
        seconds=SECONDS,
        fault_seconds=30 if LONG else 1.5,
        plan_seconds=12 if LONG else 3,
    )
    figure(
        f"soak of {found['seconds'] / 60:.0f} minutes, {found['faults']} faults",
        f"{found['lost']} lost, {found['doubles']} double of {found['fits']} fits; "
        f"at most {found['memory_bytes'] >> 20} MiB and {found['descriptors']} descriptors",
        bar="0 lost, 0 double, memory and descriptors flat",
        met=not (found["lost"] or found["doubles"] or found["problems"]),
    )
    must_be_sound(NAME, found)
    assert found["fits"] == 3 * found["plans"]


@pytest.mark.slow
def test_a_daemon_that_keeps_descriptors_is_found_out(tmp_path: Path) -> None:
    """With a descriptor kept of every fit the same measure says what grew."""
    found = run(
        "soak_campaign",
        tmp_path,
        seconds=15,
        fault_seconds=1000,
        plan_seconds=1,
        mutant="keeps a descriptor of every fit",
    )
    must_be_caught(NAME, "keeps a descriptor of every fit", found)
    assert any("descriptors grew" in problem for problem in found["problems"])


def test_growth_is_told_of_the_longest_life_only() -> None:
    """A young daemon uses less than an old one; what counts is one life, its beginning against its end."""
    flat = [Sample(life=1, age=age, memory_bytes=80 << 20, descriptors=20, threads=4) for age in range(99)]
    other = [Sample(life=2, age=age, memory_bytes=99 << 20, descriptors=90, threads=9) for age in range(50)]
    assert growth([*flat, *other]) == []
    growing = [
        Sample(life=1, age=age, memory_bytes=(80 + age) << 20, descriptors=20, threads=4) for age in range(99)
    ]
    assert [words.split()[0] for words in growth(growing)] == ["memory_bytes"]
