"""``families``: the catalogue on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import Call

from daemon.cli import catalogue
from daemon.views import families as told
from executors.families import FAMILIES


def test_each_family_is_a_line(call: Call) -> None:
    """Twenty lines under the header, and below them where time and score would come from."""
    lines = call("families").lines
    assert [line.split()[0] for line in lines[1:21]] == [family.name for family in FAMILIES]
    assert lines[0].split()[:3] == ["family", "stage", "tasks"]
    assert "trainwright demo --families all" in lines[-1]


def test_what_is_missing_is_said_with_its_reason(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed makes the family unusable, not invisible."""
    for module in (catalogue, told):
        monkeypatch.setattr(module, "availability", lambda family: f"library {family.library} not installed")
    document = call("families", "--json").document
    assert all(not entry["available"] for entry in document["families"])
    assert "no: library torch not installed" in call("families").out


def test_measured_time_and_score_come_from_the_log(
    call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a plan each trained family shows its device, its median seconds and its score in one job."""
    monkeypatch.chdir(trained)
    document = call("families").out
    line = next(line for line in document.splitlines() if line.startswith("LightGBM"))
    assert " s " in line
    assert "±" in line
    measured = {entry["name"]: entry["measured"] for entry in call("families", "--json").document["families"]}
    assert measured["LightGBM"]["fits"] >= 1
    assert measured["VAE"] is None
