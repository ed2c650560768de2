"""``doctor``: each finding with its fix."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Call

from daemon.cli import checking
from store import PlanStore


def states(document: Any) -> dict[str, str]:
    """The states of the findings by name; the last one of a name counts."""
    return {found["name"]: found["state"] for found in document["findings"]}


def test_a_machine_with_everything_is_well(call: Call, filled: PlanStore) -> None:
    """Every check has a line and the log is counted."""
    done = call("doctor", "--json")
    assert done.code == 0
    assert {"python", "lightgbm", "cores", "gpu", "disk", "inotify", "results", "inbox"} <= set(
        states(done.document)
    )
    words = " ".join(found["words"] for found in done.document["findings"])
    assert f"{filled.head_seq():,} events" in words


def test_a_missing_library_fails_and_an_optional_one_warns(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both with the command that installs it."""
    there = importlib.util.find_spec
    monkeypatch.setattr(
        checking.importlib.util,
        "find_spec",
        lambda name: None if name in ("xgboost", "torch") else there(name),
    )
    done = call("doctor")
    assert done.code == 1
    assert "fix   xgboost: pip install xgboost" in done.out
    assert "fix   torch: pip install 'trainwright[torch]'" in done.out


def test_too_many_slots_and_a_full_disk_warn(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings leave the exit code at 0."""
    (folder / "trainwright.toml").write_text("[daemon]\ncpu_slots = 4096\n")
    monkeypatch.setattr(checking, "DISK_FLOOR_BYTES", 10**18)
    done = call("doctor", "--json")
    assert done.code == 0
    assert (states(done.document)["cores"], states(done.document)["disk"]) == ("warn", "warn")


def test_a_log_that_cannot_be_read_fails(call: Call, folder: Path) -> None:
    """A file that is no database is named with what to do."""
    (folder / "results").mkdir()
    (folder / "results" / "trainwright.db").write_bytes(b"not a database" * 100)
    done = call("doctor", "--json")
    assert done.code == 1
    assert states(done.document)["event log"] == "fail"
