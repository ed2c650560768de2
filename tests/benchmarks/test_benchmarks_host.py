"""The parts of the host's benchmark, on sizes that take a moment: what they measure is what they say."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.host import __main__ as bench
from benchmarks.host.living import toml
from benchmarks.host.options import options_of
from benchmarks.host.sections import busy_share
from benchmarks.planner.figures import Figure

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def word(kind: str, fit: str, second: float) -> Any:
    return SimpleNamespace(kind=kind, fit=fit, at=BEGIN + timedelta(seconds=second))


def test_slots_are_busy_from_a_claim_to_its_end_as_long_as_something_is_claimed() -> None:
    """Two slots over ten seconds, one of them free for five: three quarters, whatever comes later."""
    events = [
        word("FitClaimed", "a", 0),
        word("FitClaimed", "b", 0),
        word("FitStarted", "a", 1),
        word("FitStarted", "b", 1),
        word("FitSucceeded", "b", 5),
        word("FitSucceeded", "a", 10),
        word("FitClaimed", "c", 10),
        word("FitStarted", "c", 11),
        word("FitSucceeded", "c", 30),
    ]
    assert busy_share(events, slots=2, begins="FitClaimed") == (0.75, 10.0)
    assert busy_share(events, slots=2, begins="FitStarted")[0] == pytest.approx(13 / 20)


def test_settings_are_written_as_toml() -> None:
    """What is written for the daemon under measurement is read as it was meant."""
    tables = {"daemon": {"a": "x y", "b": 2}, "training": {"params": {"LightGBM": {"rounds": 2}, "MLP": {}}}}
    assert tomllib.loads(toml(tables)) == tables


@pytest.mark.slow
def test_a_drop_is_timed_to_its_claim_and_to_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real daemon takes a plan: the rows say when its fit was claimed and when it ran, which is later."""
    few = replace(options_of(tmp_path, quick=True), drops=1)
    monkeypatch.setattr(bench, "options_of", lambda _folder, *, quick: few)
    shown: list[Figure] = []
    monkeypatch.setattr(bench, "_report", shown.extend)
    bench.main(["--quick", "--only", "latency", "--write", str(tmp_path / "page.md")])
    claimed, started = (float(figure.ours.split()[1]) for figure in shown)
    assert 0 < claimed < started
    assert "| reached |" in (tmp_path / "page.md").read_text()
