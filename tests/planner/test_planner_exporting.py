"""A plan as flat rows: each format holds the same, and another program can read it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from results_samples import standard_results

from planner.documents import read_plan
from planner.exporting import FORMATS, exported, fit_rows, job_cost, job_rows


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A plan with two jobs."""
    found = read_plan(standard_results(tmp_path_factory.mktemp("plan"))).content
    assert found is not None
    return dict(found)


def test_csv_holds_a_row_per_job(plan: dict[str, Any]) -> None:
    """Lists stand as words, nothing as an empty cell, and numbers come back."""
    rows = list(csv.DictReader(io.StringIO("".join(exported(plan, form="csv", what="jobs")))))
    assert [row["job_id"] for row in rows] == [job["job_id"] for job in plan["jobs"]]
    pooled = next(row for row in rows if row["job_id"] == "cs_y_5d")
    assert (pooled["symbol"], pooled["features"], float(pooled["score"])) == ("", "vol_20 ret_5", 0.1)


def test_ndjson_and_json_hold_the_same_rows(plan: dict[str, Any]) -> None:
    """One object a line, or one document with them."""
    lines = [json.loads(line) for line in "".join(exported(plan, form="ndjson", what="fits")).splitlines()]
    assert lines == list(fit_rows(plan))
    assert json.loads("".join(exported(plan, form="json", what="jobs"))) == {
        "v": 1,
        "jobs": list(job_rows(plan)),
    }


def test_markdown_is_one_table(plan: dict[str, Any]) -> None:
    """As many cells in every line, whatever a reason holds."""
    plan = {**plan, "jobs": [{**plan["jobs"][0], "reason": "a | b\nand \\ c"}]}
    lines = "".join(exported(plan, form="md", what="jobs")).splitlines()
    assert len(lines) == 3
    assert "a \\| b and \\\\ c" in lines[2]
    assert lines[0].count("|") == lines[2].replace("\\|", "").count("|")


@pytest.mark.parametrize("form", FORMATS)
def test_a_plan_without_jobs_is_an_empty_table(form: str) -> None:
    """Nothing to say is no error."""
    text = "".join(exported({"jobs": []}, form=form, what="fits"))
    assert text in ("", '{\n  "v": 1,\n  "fits": []\n}\n')


def test_a_plan_of_the_older_system_has_a_row_per_family() -> None:
    """Its jobs name families and no fits; what nobody knows is empty."""
    job = {"job_id": "cs_y", "target": "y", "model_families": ["LightGBM", "XGBoost"], "priority": 2}
    rows = list(fit_rows({"jobs": [job]}))
    assert [(row["family"], row["stage"], row["priority"]) for row in rows] == [
        ("LightGBM", None, 2),
        ("XGBoost", None, 2),
    ]
    assert job_cost(job) == (None, None)


def test_the_cost_of_a_job_is_all_its_seconds_and_its_largest_fit() -> None:
    """Fits of a job run one after the other or beside each other; the largest must fit in any case."""
    fits = [
        {"estimate": {"seconds": 1.25, "memory_bytes": 5}},
        {"estimate": {"seconds": 2.0, "memory_bytes": 9}},
        {"estimate": {"seconds": None, "memory_bytes": None}},
    ]
    assert job_cost({"fits": fits}) == (3.2, 9)
