"""``plan diff``: results, plan directories and accepted plans beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_samples import Call, fill
from results_samples import row, standard_results, write_results

from planner.artifacts import PLAN_DIR
from store import PlanStore

SETTINGS = {"routing": {"require_deviation": False, "min_score": 0.02}}


@pytest.fixture
def two(folder: Path) -> tuple[str, str]:
    """Two results directories: under other settings AAPL has lost its own model."""
    standard_results(folder / "a")
    rows = [row("y_5d"), row("y_5d", "AAPL", score_ci_low=0.01), row("y_5d", "MSFT", stability="DIVERGED")]
    write_results(folder / "b", rows, settings=SETTINGS, fingerprints={"panel": "d_2"})
    return "a", "b"


def test_the_number_that_moved_stands_beside_the_route(call: Call, two: tuple[str, str]) -> None:
    """Settings, data, routes and jobs, each with what was and what is."""
    done = call("plan", "diff", *two)
    text = " ".join(done.out.split())
    assert done.code == 0
    assert done.lines[0] == "plans     a -> b: 2 jobs -> 1 job"
    assert "settings routing.min_score 0.0 -> 0.02" in text
    assert "data panel d_1 -> d_2" in text
    assert (
        "y_5d AAPL: ROUTE_BOTH -> ROUTE_CROSS_SECTIONAL because score_ci_low 0.08 -> 0.01 (line 0.02)" in text
    )
    assert "jobs - sym_y_5d_AAPL (ROUTE_BOTH) because score_ci_low" in text
    assert max(map(len, done.lines)) <= 100


def test_equal_plans_are_said_to_be_equal(call: Call, two: tuple[str, str]) -> None:
    """In words and in the document; the exit code is 0 either way."""
    assert "equal     the same jobs" in call("plan", "diff", "a", "a").out
    assert call("plan", "diff", "a", "a", "--json").document["equal"] is True
    document = call("plan", "diff", *two, "--json").document
    assert (document["v"], document["equal"], document["jobs_after"]) == (1, False, 1)
    assert document["jobs"][0]["kind"] == "removed"


def test_plan_directories_are_compared_by_their_jobs(call: Call, two: tuple[str, str], folder: Path) -> None:
    """Copied out of their trees."""
    for name in two:
        shutil.copytree(folder / name / PLAN_DIR, folder / f"{name}_plan")
    done = call("plan", "diff", "a_plan", "b_plan")
    assert "- sym_y_5d_AAPL" in done.out


def test_an_accepted_plan_is_named_by_its_id(call: Call, filled: PlanStore, two: tuple[str, str]) -> None:
    """The log holds the plan as it was accepted."""
    (plan,) = filled.reading.plans()
    assert "equal" in call("plan", "diff", plan.id, plan.id).out
    assert "+ cs_y_5d" in call("plan", "diff", plan.id, "a").out
    wrong = call("plan", "diff", "p_0000000000000000", "a")
    assert (wrong.code, wrong.out) == (4, "")


def test_what_is_neither_path_nor_id_is_not_found(call: Call, two: tuple[str, str]) -> None:
    """Exit code 4 and what may be named."""
    done = call("plan", "diff", "a", "nowhere")
    assert (done.code, done.out) == (4, "")
    assert "a results directory, a plan directory or a plan id" in done.err


def test_many_differences_are_counted_unless_all_are_asked_for(call: Call, folder: Path) -> None:
    """The screen shows the first of each part."""
    write_results(folder / "a", [row(f"y_{number}") for number in range(40)])
    write_results(folder / "b", [row("y_0")])
    short, whole = call("plan", "diff", "a", "b"), call("plan", "diff", "a", "b", "--all")
    assert "and 24 more" in short.out
    assert "more:" not in whole.out
    assert sum("- cs_y_" in line for line in whole.lines) == 39


def test_the_log_is_needed_for_ids_alone(call: Call, two: tuple[str, str], folder: Path) -> None:
    """Directories are compared where nothing was ever recorded; none is made by asking."""
    assert call("plan", "diff", *two).code == 0
    assert call("plan", "diff", "p_0000000000000000", "a").code == 4
    assert not list(folder.rglob("*.db"))


def test_the_sample_log_and_results_do_not_meet(call: Call, store: PlanStore, folder: Path) -> None:
    """A plan of the older format, accepted and completed, is compared with itself on disk."""
    plan = fill(store, folder)
    assert call("plan", "diff", plan.id, plan.id, "--json").document["jobs_before"] == 2
