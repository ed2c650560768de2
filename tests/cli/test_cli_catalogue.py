"""``families``: the catalogue on the screen."""

from __future__ import annotations

import pytest
from cli_samples import Call

from daemon.cli import catalogue
from executors.families import FAMILIES


def test_each_family_is_a_line(call: Call) -> None:
    """Twenty lines under the header; the built ones can be used here."""
    lines = call("families").lines
    assert [line.split()[0] for line in lines[1:]] == [family.name for family in FAMILIES]
    assert next(line for line in lines if line.startswith("XGBoost")).endswith("yes, resumable")


def test_what_is_missing_is_said_with_its_reason(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed makes the family unusable, not invisible."""
    monkeypatch.setattr(catalogue, "availability", lambda family: f"library {family.library} not installed")
    document = call("families", "--json").document
    assert all(not entry["available"] for entry in document["families"])
    assert "no: library torch not installed" in call("families").out
