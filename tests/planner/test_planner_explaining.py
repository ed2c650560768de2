"""The explanation of a target: every part of the chain, for those trained and for those left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from results_samples import standard_results

from planner.artifacts import PLAN_DIR
from planner.errors import NotInResults
from planner.explaining import explain
from planner.results import read_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A tree with one target routed and one dropped."""
    return standard_results(tmp_path / "results")


def explained(place: Path, target: str, **options: Any) -> dict[str, Any]:
    """The explanation of a target from its files."""
    return dict(explain(read_results(place, target=target), target, **options))


def test_every_part_of_the_chain_is_there(results: Path) -> None:
    """Column, leaks, ranking with the candidate, selection in order, routes and jobs with their cost."""
    found = explained(results, "y_5d")
    assert (found["rank"], found["targets"], found["ranked"]) == (1, 2, 1)
    column = found["column"]
    assert (column["task"], column["horizon_bars"], column["rows"], column["final_share"]) == (
        "regression", 5, 10_000, 0.2,
    )  # fmt: skip
    assert column["by_symbol"]["AAPL"] == {"rows": 5_200, "coverage": 0.97}
    assert found["leaks"]["verdicts"] == {"BLOCKED": 1, "SUSPECT": 1, "SAFE": 1}
    assert [row["feature"] for row in found["leaks"]["found"]] == ["leak", "odd"]
    pooled = found["measured"][0]
    assert (pooled["symbol"], pooled["fold_scores"], pooled["stability"]) == (
        None,
        [0.1, 0.12, 0.09],
        "STABLE",
    )
    assert [row["feature"] for row in found["selection"][0]["features"]] == ["vol_20", "ret_5"]
    assert found["selection"][0]["left_out"] == {"twin": "a twin of vol_20"}
    assert found["routes"]["symbols"]["AAPL"]["route"] == "ROUTE_BOTH"
    jobs = {job["job_id"]: job for job in found["jobs"]}
    assert set(jobs) == {"cs_y_5d", "sym_y_5d_AAPL"}
    assert jobs["cs_y_5d"]["estimated_seconds"] > 0
    assert found["reasons"] == []


def test_one_symbol_stands_beside_all_together(results: Path) -> None:
    """With a symbol the others are left away, the pooled view is not: its state decides as well."""
    found = explained(results, "y_5d", symbol="AAPL")
    assert [row["symbol"] for row in found["measured"]] == [None, "AAPL"]
    assert [part["symbol"] for part in found["selection"]] == [None, "AAPL"]
    assert list(found["routes"]["symbols"]) == ["AAPL"]
    assert {job["symbol"] for job in explained(results, "y_5d", symbol="MSFT")["jobs"]} == {None}


def test_a_target_left_out_says_why(results: Path) -> None:
    """It has a ranking, no route and no job, and the reasons of the plan."""
    found = explained(results, "y_dull")
    assert (found["rank"], found["routes"], found["jobs"]) == (None, None, [])
    assert found["reasons"] == ["all symbols: dropped: q 0.4"]
    assert found["measured"][0]["q_value"] == 0.4


def test_a_plan_without_tables_is_explained_as_far_as_it_goes(results: Path, tmp_path: Path) -> None:
    """An older plan, or one copied out of its tree, tells its jobs and nothing that it does not know."""
    alone = tmp_path / "alone"
    (results / PLAN_DIR).rename(alone)
    found = explained(alone, "y_5d")
    assert len(found["jobs"]) == 2
    assert (found["measured"], found["selection"], found["leaks"]["verdicts"]) == ([], [], {})
    assert found["column"]["rows"] is None


def test_slips_meet_the_nearest_name(results: Path) -> None:
    """Of a target and of a symbol."""
    with pytest.raises(NotInResults, match="did you mean y_5d"):
        explained(results, "y_5")
    with pytest.raises(NotInResults, match="did you mean AAPL"):
        explained(results, "y_5d", symbol="APL")
