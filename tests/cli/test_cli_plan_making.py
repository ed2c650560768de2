"""``plan make``: a what-if from what was measured before, and how the new plan differs from the last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Call, write_data
from results_samples import standard_results

from daemon.cli import rehearsing, work
from planner import PlanningResult, PlanRequest
from planner.artifacts import PLAN_DIR
from planner.results import read_results

SMALL = (
    "--set", "routing.min_rows_cross_sectional=100", "--set", "routing.min_rows_symbol=100",
    "--set", "routing.min_effective_rows=10", "--set", "ranking.boosting_rounds=5",
)  # fmt: skip
PLAN = Path("results") / PLAN_DIR / "master_training_plan.json"


@pytest.fixture
def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[PlanRequest]:
    """The requests that reached the planner; it answers with the plan that lies in `other`."""
    seen: list[PlanRequest] = []
    standard_results(folder / "other")

    def make_plan(request: PlanRequest, *, tell: Callable[[object], None]) -> PlanningResult:
        del tell
        seen.append(request)
        found = read_results(folder / "other")
        return PlanningResult(
            planning_id="n_1", panel_key="d_1", panel_path=Path("cache"), rows=10, symbols=("AAPL",),
            ranking=tuple(found.ranking), leaks=(), selections=(), candidates=tuple(found.candidates),
            selected_targets=("y_5d",), routing_plan=found.routes or {}, training_plan=found.plan or {},
            plan_dir=request.results_dir / PLAN_DIR, blocked={}, warnings=(),
            from_cache=("ranking targets",), seconds_by_step={},
        )  # fmt: skip

    monkeypatch.setattr(work, "make_plan", make_plan)
    monkeypatch.setattr(rehearsing, "make_plan", make_plan)
    return seen


def test_without_a_data_directory_the_last_plan_is_asked_again(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """Its data, targets, features, families and seed; the settings are those given now."""
    standard_results(folder / "results")
    done = call("plan", "make", "--set", "routing.min_score=0.02")
    assert done.code == 0
    (request,) = asked
    assert (request.data_dir, request.auto_targets, request.auto_features) == (Path("/bars"), True, True)
    assert (request.symbols, request.targets, request.top_n_targets) == (None, None, 10)
    assert (request.families, request.seed) == (("LightGBM",), 42)
    assert request.config.routing.min_score == 0.02
    assert "as the plan that is here: --data-dir /bars --auto-targets --auto-features" in done.err
    assert "from the cache: ranking targets" in done.err


def test_what_is_given_stands_over_what_was_asked_before(
    call: Call, folder: Path, asked: list[PlanRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, settings of the file and of the environment; the rest is as before."""
    standard_results(folder / "results")
    monkeypatch.setenv("TRAINWRIGHT_SEED", "7")
    call(
        "plan", "make", "--targets", "y_5d", "--families", "xgb", "--top-n-targets", "3", "--symbols", "AAPL"
    )
    (request,) = asked
    assert (request.targets, request.families, request.top_n_targets) == (("y_5d",), ("XGBoost",), 3)
    assert (request.symbols, request.seed, request.auto_features) == (("AAPL",), 7, True)


def test_a_parameter_of_one_family_can_be_set(call: Call, folder: Path, asked: list[PlanRequest]) -> None:
    """A setting inside a table inside a table reaches the planner like any other."""
    standard_results(folder / "results")
    call("plan", "make", "--set", "training.params.LightGBM.rounds=10", "--set", "daemon.seed=7")
    (request,) = asked
    assert request.config.training.params == {"LightGBM": {"rounds": 10}}
    assert request.seed == 7


def test_data_that_the_settings_name_are_taken_for_those_of_the_last_plan(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """A host that keeps its data in one place asks again without naming it; a first plan is made of it."""
    (folder / "trainwright.toml").write_text('[daemon]\ndata_dir = "here"\nfamilies = ["xgb"]\n')
    call("plan", "make")
    standard_results(folder / "results")
    call("plan", "make", "--set", "daemon.symbols=AAPL")
    first, again = asked
    assert (first.data_dir, first.auto_targets, first.symbols) == (folder / "here", False, None)
    assert (again.data_dir, again.auto_targets, again.symbols) == (folder / "here", True, ("AAPL",))
    assert first.families == again.families == ("XGBoost",)


def test_with_a_data_directory_nothing_is_taken_from_before(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """The call means what it says."""
    standard_results(folder / "results")
    call("plan", "make", "--data-dir", "d")
    (request,) = asked
    assert (request.data_dir, request.auto_targets, request.seed) == (folder / "d", False, 42)
    assert len(request.families) > 1


@pytest.mark.parametrize("older", [True, False])
def test_without_anything_to_go_by_the_option_is_asked_for(call: Call, folder: Path, older: bool) -> None:
    """No plan, or one that does not say what it was asked for: a usage error that names the option."""
    if older:
        plan = folder / PLAN
        plan.parent.mkdir(parents=True)
        plan.write_text(json.dumps({"metadata": {}, "jobs": [{"job_id": "cs_y", "target": "y"}]}))
    for words in (("plan", "make"), ("run",)):
        done = call(*words)
        assert (done.code, "--data-dir" in done.err) == (2, True)


def test_the_difference_from_the_last_plan_is_told_shortly(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """After the plan, with what moved; as a document it is whole; the first plan differs from nothing."""
    assert "plans " not in call("plan", "make", "--data-dir", "d").out
    standard_results(folder / "results")
    plan = folder / PLAN
    document = json.loads(plan.read_text())
    document["jobs"] = [job for job in document["jobs"] if job["job_id"] != "cs_y_5d"]
    plan.write_text(json.dumps(document))
    done = call("plan", "make", "--data-dir", "d")
    assert "this plan: 1 job -> 2 jobs" in " ".join(done.out.split())
    assert "+ cs_y_5d" in done.out
    found = call("plan", "make", "--data-dir", "d", "--json").document
    assert (found["differences"]["jobs"][0]["job_id"], found["from_cache"]) == (
        "cs_y_5d",
        ["ranking targets"],
    )


def test_a_broken_plan_that_is_there_stops_no_new_one(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """It is not compared with, and that is said."""
    standard_results(folder / "results")
    (folder / PLAN).write_text("{")
    done = call("plan", "make", "--data-dir", "d")
    assert done.code == 0
    assert "warning: the plan that is here is not compared with" in done.err


def test_a_dry_run_tells_each_job_and_writes_nothing(
    call: Call, folder: Path, asked: list[PlanRequest]
) -> None:
    """Neither plan nor event nor folder; the difference is told as well."""
    standard_results(folder / "results")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = call("plan", "make", "--dry-run")
    assert "would train  sym_y_5d_AAPL  LightGBM  because " in done.out
    assert "equal     the same jobs" in done.out
    assert done.lines[-1] == "dry run: 2 jobs, no plan was written and nothing trained"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    document = call("plan", "make", "--dry-run", "--json").document
    assert (document["dry_run"], document["differences"]["equal"]) == (True, True)


def test_a_what_if_measures_nothing_again(call: Call, folder: Path) -> None:
    """From data to plan, then under another line: nothing new in the cache, and the move is named."""
    write_data(folder / "data", rows=1_500, strength=0.2)
    words = ("plan", "make", "--data-dir", "data", "--auto-targets", "--auto-features", *SMALL)
    first = call(*words, "--json").document
    assert first["jobs"] > 0
    measured = sorted(path for path in (folder / "results" / "cache").rglob("*") if path.is_file())
    again = call("plan", "make", *SMALL, "--set", "routing.min_score=0.99")
    assert again.code == 0
    assert sorted(path for path in (folder / "results" / "cache").rglob("*") if path.is_file()) == measured
    assert "from the cache: " in again.err
    assert "settings  routing.min_score 0.0 -> 0.99" in again.out
    assert "-> 0.99)" in " ".join(again.out.split())
    assert max(map(len, again.lines)) <= 100
    assert call("plan", "explain", "fwd_ret_1d").code == 0
    back: dict[str, Any] = call("plan", "make", *SMALL, "--json").document
    assert back["jobs"] == first["jobs"]
