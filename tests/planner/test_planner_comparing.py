"""Two plannings beside each other: what differs is named with what moved, what is equal is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from results_samples import LINES, ranked, row, standard_results, write_results

from planner.artifacts import PLAN_DIR
from planner.comparing import Comparison, JobChange, compare
from planner.results import read_results
from planner.tables import Candidate

BASE = (row("y_5d"), row("y_5d", "AAPL"), row("y_5d", "MSFT", kept=False, stability="DIVERGED"))


def compared(
    tmp_path: Path,
    before: Sequence[Candidate],
    after: Sequence[Candidate],
    *,
    first: Mapping[str, Any] | None = None,
    **second: Any,
) -> Comparison:
    """The comparison of two trees with these candidates."""
    places = tmp_path / "before", tmp_path / "after"
    write_results(places[0], before, **(first or {}))
    write_results(places[1], after, **second)
    return compare(*(read_results(place, compared=True) for place in places))


def jobs_of(comparison: Comparison) -> dict[tuple[str, str], JobChange]:
    """The changed jobs by kind and id."""
    return {(job.kind, job.job_id): job for job in comparison.jobs}


def test_the_same_planning_twice_differs_in_nothing(tmp_path: Path) -> None:
    """Other order of rows, other time, other place of the same data: equal."""
    data = {"data_dir": "/elsewhere", "symbols": ["AAPL", "MSFT"], "interval": None}
    found = compared(tmp_path, BASE, BASE[::-1], data=data)
    assert found.equal
    assert found.document()["equal"] is True
    assert (found.jobs_before, found.jobs_after, found.routes, found.jobs) == (2, 2, (), ())


def test_a_symbol_that_no_longer_deviates_loses_its_job(tmp_path: Path) -> None:
    """The route of the pair, the job, and the number that crossed its line."""
    settings = {"routing": {"require_deviation": True}}
    before = (row("y_5d"), row("y_5d", "AAPL", deviates=True, deviation_q=0.03))
    after = (row("y_5d"), row("y_5d", "AAPL", deviates=False, deviation_q=0.21))
    found = compared(tmp_path, before, after, first={"settings": settings}, settings=settings)
    (change,) = found.routes
    assert (change.target, change.symbol, change.before, change.after) == (
        "y_5d", "AAPL", "ROUTE_BOTH", "ROUTE_CROSS_SECTIONAL",
    )  # fmt: skip
    assert change.because == ("deviation_q 0.03 -> 0.21 (line 0.05)",)
    gone = jobs_of(found)["removed", "sym_y_5d_AAPL"]
    assert gone.because == change.because
    assert not found.equal


def test_what_moved_for_all_symbols_explains_each_of_them(tmp_path: Path) -> None:
    """A symbol whose own numbers stand is explained by those of the pooled view, and said so."""
    after = (row("y_5d", score_ci_low=0.001), *BASE[1:])
    found = compared(tmp_path, BASE, after)
    because = {change.symbol: change.because for change in found.routes}
    assert because[None] == ("score_ci_low 0.08 -> 0.001 (line 0.01)",)
    assert because["AAPL"] == ("of all symbols score_ci_low 0.08 -> 0.001 (line 0.01)",)
    job = jobs_of(found)["changed", "sym_y_5d_AAPL"]
    assert next(change.name for change in job.changes) == "route"


def test_settings_and_data_that_differ_are_named_with_their_values(tmp_path: Path) -> None:
    """By full key; where the data lies is no difference, what it is is one."""
    settings = {"routing": {**LINES["routing"], "min_score": 0.02}}
    found = compared(
        tmp_path, BASE, BASE, settings=settings, fingerprints={"panel": "d_2", "config": "x"}, seed=7
    )
    assert [(change.name, change.before, change.after) for change in found.settings] == [
        ("routing.min_score", 0.0, 0.02)
    ]
    assert {change.name: (change.before, change.after) for change in found.data} == {
        "panel": ("d_1", "d_2"),
        "seed": (42, 7),
    }
    assert (found.jobs, found.equal) == ((), False)


def test_a_what_if_names_the_line_that_moved(tmp_path: Path) -> None:
    """The numbers are the same, the route is not."""
    settings = {"routing": {**LINES["routing"], "min_score": 0.09}}
    found = compared(tmp_path, BASE, BASE, settings=settings)
    because = {change.symbol: change.because for change in found.routes}
    assert because[None] == ("score_ci_low 0.08 (line 0.01 -> 0.09)",)
    assert found.jobs_after == 0


def test_features_and_families_that_came_and_went(tmp_path: Path) -> None:
    """A job that stays is told by what was added to it and taken from it."""
    after = (row("y_5d", features=("vol_20", "range_1")), *BASE[1:])
    found = compared(tmp_path, BASE, after, families=("LightGBM", "XGBoost"))
    job = jobs_of(found)["changed", "cs_y_5d"]
    assert (job.features_added, job.features_removed) == (("range_1",), ("ret_5",))
    assert (job.families_added, job.families_removed) == (("XGBoost",), ())
    assert {change.name for change in found.data} == {"model_families"}


def test_ranks_that_moved_are_told_with_the_score(tmp_path: Path) -> None:
    """Best first; a target that lost its rank comes last, one that stayed is not there."""
    before = [ranked("y_5d", rank=1), ranked("y_b", rank=2), ranked("y_c", rank=3)]
    after = [ranked("y_5d", rank=2, score=0.05), ranked("y_b", rank=1), ranked("y_c", rank=None, q_value=0.5)]
    found = compared(tmp_path, BASE, BASE, first={"ranking": before}, ranking=after)
    assert [(change.name, change.before, change.after) for change in found.ranks] == [
        ("y_b", 2, 1), ("y_5d", 1, 2), ("y_c", 3, None),
    ]  # fmt: skip


def test_a_target_dropped_by_the_ranking_is_told_by_its_q(tmp_path: Path) -> None:
    """It has no candidates any more; the table of the ranking still says why."""
    other = row("y_b", target_rank=2, q_value=0.03)
    found = compared(
        tmp_path,
        (*BASE, other),
        BASE,
        first={"ranking": [ranked("y_5d"), ranked("y_b", rank=2, q_value=0.03)]},
        ranking=[ranked("y_5d"), ranked("y_b", rank=None, q_value=0.21, kept=False)],
        left_out={"y_b": ["all symbols: dropped: q 0.21"]},
    )
    gone = jobs_of(found)["removed", "cs_y_b"]
    assert "q_value 0.03 -> 0.21 (line 0.05)" in gone.because[0]


def test_plans_alone_are_compared_by_what_their_jobs_say(tmp_path: Path) -> None:
    """Without tables: jobs, routes, features, and the score that a job carries."""
    places = [tmp_path / "a", tmp_path / "b"]
    write_results(tmp_path / "x", BASE)
    write_results(tmp_path / "y", (row("y_5d", score=0.2, features=("vol_20",)), BASE[2]))
    for place, tree in zip(places, ("x", "y"), strict=True):
        shutil.copytree(tmp_path / tree / PLAN_DIR, place)
    found = compare(*(read_results(place) for place in places))
    jobs = jobs_of(found)
    assert jobs["changed", "cs_y_5d"].because == ("score 0.1 -> 0.2",)
    assert jobs["removed", "sym_y_5d_AAPL"].because


def test_a_plan_of_the_older_system_can_be_compared(tmp_path: Path) -> None:
    """Without metadata, features and fits there is less to say, and it is said."""
    job = {
        "job_id": "cs_y_5d",
        "target": "y_5d",
        "training_type": "cross_sectional",
        "route": "ROUTE_CROSS_SECTIONAL",
    }
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "training_plan.json").write_text(json.dumps({"jobs": [job]}))
    write_results(tmp_path / "new", BASE)
    found = compare(read_results(tmp_path / "older"), read_results(tmp_path / "new"))
    assert ("added", "sym_y_5d_AAPL") in jobs_of(found)
    assert ("changed", "cs_y_5d") in jobs_of(found)
    assert found.settings == ()  # it tells none
    assert (found.jobs_before, found.jobs_after) == (1, 2)


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_whole_target_that_comes_or_goes(tmp_path: Path, name: str) -> None:
    """A target that one side has never heard of: its jobs with their reason."""
    standard_results(tmp_path / "more")
    write_results(tmp_path / "less", [row("y_other")])
    more, less = read_results(tmp_path / "more"), read_results(tmp_path / "less")
    found = compare(more, less) if name == "before" else compare(less, more)
    kind = "removed" if name == "before" else "added"
    assert jobs_of(found)[kind, "sym_y_5d_AAPL"].because
    document = json.loads(json.dumps(found.document()))
    assert document["equal"] is False
