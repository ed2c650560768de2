"""The table of the campaigns says what they counted, and what must not be counted is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
import reporting


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty report."""
    monkeypatch.setenv(reporting.FILE_VARIABLE, str(tmp_path / "report.jsonl"))
    return tmp_path / "report.jsonl"


def test_counts_of_one_campaign_add_up(file: Path) -> None:
    """A mutant that reports by itself stands in the row of its campaign."""
    reporting.report("kills", faults=2_000, acknowledged=9_000, lost=0, doubles=0, stale=0, seconds=31.4)
    reporting.report("kills", mutants=1, mutants_caught=1, mutant="lazy commit")
    lines = reporting.read_reports(file)
    row = next(line for line in reporting.table(lines).splitlines() if line.startswith("kills"))
    assert row.split() == ["kills", "2,000", "9,000", "0", "0", "0", "1", "of", "1", "31"]
    assert reporting.failures(lines) == []


@pytest.mark.parametrize(
    "counts", [{"lost": 1}, {"doubles": 1}, {"stale": 1}, {"mutants": 2, "mutants_caught": 1}]
)
def test_what_must_not_happen_is_a_failure(file: Path, counts: dict[str, int]) -> None:
    """An event lost, a fit completed twice, a late word taken and a mutant that got away are each told."""
    reporting.report("kills", **counts)
    (sentence,) = reporting.failures(reporting.read_reports(file))
    assert sentence.startswith("kills: 1 ")


def test_without_a_file_nothing_is_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Campaigns run by hand leave nothing behind."""
    monkeypatch.delenv(reporting.FILE_VARIABLE)
    reporting.report("kills", faults=1)
    assert reporting.read_reports(file) == []


def test_figures_are_shown_once_each_with_their_bars(file: Path) -> None:
    """A figure measured again takes the place of the one before; one that misses its bar says NO."""
    reporting.report("kills", faults=3)
    reporting.figure("stop", "99 of 100", bar="100 of 100", met=False)
    reporting.figure("reboots", "20 of 20", bar="20 of 20", met=True)
    reporting.figure("stop", "98 of 100", bar="100 of 100", met=False)
    lines = reporting.read_reports(file)
    rows = [" ".join(row.split()) for row in reporting.figures_table(lines).splitlines()[1:]]
    assert rows == ["stop 98 of 100 100 of 100 NO", "reboots 20 of 20 20 of 20 yes"]
    assert [row.split()[0] for row in reporting.table(lines).splitlines()[2:3]] == ["kills"]
