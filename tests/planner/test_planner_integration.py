"""The older system's entry points work on the files of a planning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from planner_samples import candidate, local_candidate

from planner import (
    TrainingPlanGenerator,
    generate_routing_plan_after_feature_selection,
    generate_training_plan_from_routing,
    load_routing_plan,
)
from planner.artifacts import write_routing_plan, write_table
from planner.errors import ConfigInvalid, PlanUnreadable, RequestInvalid
from planner.tables import plain_row


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results directory with the candidates of two targets and two symbols."""
    origin: dict[str, Any] = {"panel_key": "d_9", "config_hash": "c9", "code_version": "9", "seed": 3}
    rows = [
        candidate(**origin),
        local_candidate("AAPL", **origin),
        local_candidate("MSFT", score=0.01, score_ci_low=0.0, **origin),
        candidate(target="z", kept=False, kept_reason="dropped: q 0.3", **origin),
    ]
    write_table(tmp_path, "routing_candidates", [plain_row(row) for row in rows])
    return tmp_path


def test_routes_and_plan_are_made_after_feature_selection(results: Path) -> None:
    """The older system's automatic call: routes returned and written, the plan beside them by both names."""
    plan = generate_routing_plan_after_feature_selection(
        output_dir=results,
        targets=["y", "z"],
        symbols=["AAPL", "MSFT"],
        generate_training_plan=True,
        model_families=["lightgbm", "xgboost"],
    )
    assert plan["targets"]["y"]["symbols"]["AAPL"]["route"] == "ROUTE_BOTH"
    assert load_routing_plan(results / "METRICS" / "routing_plan") == plan
    document = json.loads((results / "METRICS/training_plan/master_training_plan.json").read_text())
    assert [job["job_id"] for job in document["jobs"]] == ["sym_y_AAPL", "cs_y"]
    assert document["metadata"]["fingerprints"] == {"panel": "d_9", "config": "c9"}
    assert "z" in document["blocked"]


def test_the_training_plan_can_be_left_out_and_symbols_taken_from_the_candidates(results: Path) -> None:
    """generate_training_plan=False writes routes only; no symbols means all that have a row."""
    plan = generate_routing_plan_after_feature_selection(results, ["y"], generate_training_plan=False)
    assert list(plan["targets"]["y"]["symbols"]) == ["AAPL", "MSFT"]
    assert not (results / "globals").exists()


def test_metadata_of_the_earlier_plan_of_the_same_data_are_kept(results: Path) -> None:
    """Data and training settings travel on when the fingerprint is the same, and only then."""
    for key, kept in (("d_9", True), ("d_other", False)):
        earlier = {
            "metadata": {"fingerprints": {"panel": key, "config": "c"}, "data": {"data_dir": "/data"}},
            "targets": {},
            "summary": {"by_route": {}},
            "blocked": {},
        }
        write_routing_plan(results, earlier)
        plan = generate_routing_plan_after_feature_selection(results, ["y"], generate_training_plan=False)
        assert ("data" in plan["metadata"]) is kept


def test_routing_settings_come_from_a_file(results: Path, tmp_path: Path) -> None:
    """The [routing] table of a TOML file decides; other tables are no concern of this call."""
    file = tmp_path / "settings.toml"
    file.write_text("[daemon]\ncpu_slots = 1\n[routing]\ncs_min_correlation = 0.09\n")
    plan = generate_routing_plan_after_feature_selection(
        results, ["y"], routing_config_path=file, generate_training_plan=False
    )
    assert plan["targets"]["y"]["cross_sectional"]["route"] == "DISABLED"
    file.write_text("[routing]\ncs_min_correlation = ")
    with pytest.raises(ConfigInvalid):
        generate_routing_plan_after_feature_selection(results, ["y"], routing_config_path=file)


@pytest.mark.parametrize(("targets", "symbols"), [(["yy"], None), (["y"], ["APPL"])])
def test_a_target_or_symbol_without_candidates_is_refused(
    results: Path, targets: list[str], symbols: list[str] | None
) -> None:
    """Nothing is routed that was never measured."""
    with pytest.raises(RequestInvalid):
        generate_routing_plan_after_feature_selection(results, targets, symbols)


def test_without_candidates_there_are_no_routes(tmp_path: Path) -> None:
    """A missing table is an error that says to plan first."""
    with pytest.raises(PlanUnreadable):
        generate_routing_plan_after_feature_selection(tmp_path, ["y"])


def test_a_training_plan_is_made_from_a_routing_plan_file(results: Path, tmp_path: Path) -> None:
    """The older system's manual call, with the selector it names set aside."""
    generate_routing_plan_after_feature_selection(results, ["y"], generate_training_plan=False)
    plan = generate_training_plan_from_routing(
        routing_plan_path=results / "METRICS/routing_plan/routing_plan.json",
        output_dir=tmp_path / "made",
        model_families=["lightgbm", "xgboost", "random_forest"],
    )
    assert plan["metadata"]["model_families"] == ["LightGBM", "XGBoost"]
    assert plan["metadata"]["routing_plan_path"].endswith("routing_plan.json")
    assert json.loads((tmp_path / "made/master_training_plan.json").read_text()) == plan


def test_the_programmatic_example_of_the_older_guide_runs(results: Path, tmp_path: Path) -> None:
    """Load, generate, walk over the jobs."""
    generate_routing_plan_after_feature_selection(results, ["y"])
    routing_plan = load_routing_plan(results / "METRICS" / "routing_plan")
    generator = TrainingPlanGenerator(routing_plan=routing_plan, model_families=["lightgbm", "xgboost"])
    training_plan = generator.generate_training_plan(output_dir=tmp_path / "plan", include_blocked=False)
    for job in training_plan["jobs"]:
        assert {"job_id", "target", "symbol", "route", "priority"} <= set(job)
    assert training_plan["metadata"]["total_jobs"] == len(training_plan["jobs"]) == 2
