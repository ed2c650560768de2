"""``plan export``: stdout holds the data and nothing else; a file is written whole."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from cli_samples import Call
from results_samples import standard_results


@pytest.fixture(autouse=True)
def results(folder: Path) -> Path:
    """A planning where the command looks by default."""
    return standard_results(folder / "results")


def test_jobs_go_to_stdout_as_csv(call: Call) -> None:
    """The default; nothing on stderr."""
    done = call("plan", "export")
    assert done.err == ""
    assert [line["job_id"] for line in csv.DictReader(io.StringIO(done.out))] == ["sym_y_5d_AAPL", "cs_y_5d"]


@pytest.mark.parametrize("form", ["ndjson", "json", "md", "csv"])
def test_fits_go_to_a_file_in_every_format(call: Call, folder: Path, form: str) -> None:
    """Stdout stays empty; stderr says what was written."""
    done = call("plan", "export", "results", "--format", form, "--what", "fits", "--output", "out/fits")
    assert (done.code, done.out) == (0, "")
    assert "2 jobs written to out/fits" in done.err
    text = (folder / "out" / "fits").read_text()
    assert "LightGBM" in text
    if form == "ndjson":
        assert [json.loads(line)["stage"] for line in text.splitlines()] == ["cpu", "cpu"]


def test_without_a_plan_nothing_is_written(call: Call, folder: Path) -> None:
    """Exit code 4 and the command that makes one; a format nobody knows is a wrong call."""
    (folder / "empty").mkdir()
    done = call("plan", "export", "empty", "--output", "out.csv")
    assert (done.code, done.out) == (4, "")
    assert "trainwright plan make" in done.err
    assert not (folder / "out.csv").exists()
    assert call("plan", "export", "--format", "xlsx").code == 2
