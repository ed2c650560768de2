"""``plan``: the training plan as a document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_samples import Call
from store_samples import cs_job, document


def write_plan(folder: Path, *jobs: dict[str, object]) -> None:
    """A plan where `plan show` looks by default."""
    place = folder / "results" / "globals" / "training_plan"
    place.mkdir(parents=True)
    (place / "master_training_plan.json").write_text(json.dumps(document(*jobs)))


def test_the_jobs_are_shown_with_their_reasons(call: Call, folder: Path) -> None:
    """A table, then a reason for each; the document is the plan itself."""
    write_plan(folder, {**cs_job("y"), "features": ["a", "b"]}, cs_job("z", families=("XGBoost",)))
    done = call("plan", "show")
    assert done.lines[1].split() == ["cs_y", "cross", "sectional", "2", "2", "LightGBM,", "LSTM"]
    assert done.lines[2].split()[-2:] == ["all", "XGBoost"]
    assert "cs_y: CS training enabled" in done.out
    assert [job["job_id"] for job in call("plan", "show", "--json").document["plan"]["jobs"]] == [
        "cs_y",
        "cs_z",
    ]


def test_an_empty_plan_is_refused(call: Call, folder: Path) -> None:
    """Plans fail closed, for reading too."""
    write_plan(folder)
    done = call("plan", "show")
    assert done.code == 3
    assert "the plan is empty" in done.err


def test_a_valid_plan_is_counted_by_stage(call: Call, folder: Path, ngboost_missing: None) -> None:
    """What cannot be trained here is named with its reason."""
    write_plan(folder, cs_job("y", families=("LightGBM", "lstm", "NGBoost")))
    done = call("plan", "validate", "results")
    assert done.code == 0
    assert done.lines[0] == "valid: 1 job, 2 CPU fits, 1 GPU fit"
    assert "left out  cs_y/NGBoost: " in done.out
    assert call("plan", "validate", "results", "--json").document["unavailable"] == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model_families": ["LightGMB"]}, "LightGBM"),
        ({"target": "../x"}, "target"),
        ({"job_id": 3}, "job_id"),
    ],
)
def test_a_bad_plan_is_refused_at_its_place(
    call: Call, folder: Path, change: dict[str, object], word: str
) -> None:
    """Exit code 3; the place or the nearest name is in the error."""
    write_plan(folder, {**cs_job("y"), **change})
    done = call("plan", "validate", "results")
    assert done.code == 3
    assert word in done.err
    assert call("plan", "validate", "nowhere").code == 3


def test_a_plan_that_the_daemon_would_complete_is_valid(call: Call, folder: Path) -> None:
    """What an older plan lacks comes from the settings, here as in the drop folder."""
    job = {"job_id": "cs_y", "target": "y", "training_type": "cross_sectional"}
    (folder / "older").mkdir()
    text = json.dumps({"metadata": {}, "jobs": [job]})
    (folder / "older" / "master_training_plan.json").write_text(text, encoding="utf-8")
    done = call("plan", "validate", "older")
    assert (done.code, done.lines[0]) == (0, "valid: 1 job, 2 CPU fits, 1 GPU fit")
