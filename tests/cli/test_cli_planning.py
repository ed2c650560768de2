"""``run`` and ``plan make``: from data to a plan, recorded, and what a dry run leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Call, write_data

from daemon.cli import rehearsing, work
from planner import PlanningResult, PlanRequest
from planner.request import Progress
from store.events import PlanningStarted

REASON = "kept: rank_ic 0.5, q 0.002 within 0.05"


def result_of(request: PlanRequest, *, jobs: int = 1) -> PlanningResult:
    """A planning result with so many jobs."""
    ranked = {
        "target": "y_1d", "view": "CROSS_SECTIONAL", "symbol": None, "metric_name": "rank_ic", "score": 0.5,
        "standard_error": 0.02, "q_value": 0.002, "kept": True, "rank": 1, "skill": 0.5, "reason": REASON,
    }  # fmt: skip
    job = {"job_id": "cs_y_1d", "target": "y_1d", "model_families": ["LightGBM"], "reason": "strong"}
    return PlanningResult(
        planning_id="n_1",
        panel_key="d_1",
        panel_path=Path("cache"),
        rows=10,
        symbols=("A",),
        ranking=(ranked,),
        leaks=(),
        selections=(),
        candidates=(),
        selected_targets=("y_1d",),
        routing_plan={"targets": {}},
        training_plan={"jobs": [job] * jobs},
        plan_dir=request.results_dir / "globals" / "training_plan",
        blocked={"y_2d": ("not above luck",)},
        warnings=("a symbol is short",),
        from_cache=(),
        seconds_by_step={},
    )


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[PlanRequest]:
    """The requests that reached the planner, which answers with one job."""
    seen: list[PlanRequest] = []

    def make_plan(request: PlanRequest, *, tell: Callable[[object], None]) -> PlanningResult:
        seen.append(request)
        tell(Progress(step="reading the data", done=1, total=1))
        tell(PlanningStarted(data_dir=str(request.data_dir)))
        (request.results_dir / "written").mkdir(parents=True)
        return result_of(request)

    monkeypatch.setattr(rehearsing, "make_plan", make_plan)
    monkeypatch.setattr(work, "make_plan", make_plan)
    return seen


def test_the_options_of_the_older_command_become_the_request(
    call: Call, folder: Path, requests: list[PlanRequest]
) -> None:
    """Space-separated words, any spelling of a family, and the results where they were asked for."""
    words = "run --data-dir d --symbols A B --auto-targets --auto-features --top-n-targets 4 --skip-training"
    assert call(*words.split(), "--output-dir", "out", "--families", "lightgbm", "lstm").code == 0
    (found,) = requests
    assert (found.symbols, found.top_n_targets, found.families) == (("A", "B"), 4, ("LightGBM", "LSTM"))
    assert (found.auto_targets, found.auto_features, found.seed) == (True, True, 42)
    assert (found.data_dir, found.results_dir) == (folder / "d", folder / "out")
    assert (found.targets, found.features) == (None, None)


def test_skipping_the_training_records_the_planning_and_names_the_next_command(
    call: Call, folder: Path, requests: list[PlanRequest]
) -> None:
    """The decisions are events; nothing was accepted for training."""
    done = call("run", "--data-dir", "d", "--auto-targets", "--skip-training")
    assert done.lines[-2] == f"1 job for 1 target planned in {folder}/results/globals/training_plan"
    assert done.lines[-1].startswith("next  trainwright train --data-dir ")
    assert "not trained: 1 targets" in done.out
    assert "warning: a symbol is short" in done.err
    assert [line.split()[3] for line in call("events").lines] == ["PlanningStarted"]


def test_a_dry_run_leaves_neither_plan_nor_event(
    call: Call, folder: Path, requests: list[PlanRequest]
) -> None:
    """It tells each job with its reason, in words or as a document, and cleans up."""
    done = call("run", "--data-dir", "d", "--dry-run")
    assert "would train  cs_y_1d  LightGBM  because strong" in done.out
    document = call("run", "--data-dir", "d", "--dry-run", "--json").document
    assert (document["dry_run"], len(document["jobs"]), document["blocked"]) == (
        True,
        1,
        {"y_2d": ["not above luck"]},
    )
    assert list(folder.iterdir()) == []
    assert not any(request.results_dir.exists() for request in requests)


def test_a_dry_run_uses_the_cache_that_is_there(
    call: Call, folder: Path, requests: list[PlanRequest]
) -> None:
    """Steps already done are not done again."""
    (folder / "results" / "cache").mkdir(parents=True)
    call("run", "--data-dir", "d", "--dry-run")
    assert requests[0].cache_dir == folder / "results" / "cache"


def test_training_follows_the_plan(
    call: Call, folder: Path, requests: list[PlanRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan directory is handed to training, its exit code is the command's, one document is printed."""
    from daemon.drained import Drained

    handed: list[Any] = []
    drained = Drained(plan_ids=("p_1",), succeeded=1, failed=1, unavailable=0, cancelled=0, interrupted=False)

    def train(settings: Any, store: Any, plan: Path, *, planning_id: str) -> tuple[str, Drained]:
        handed.append((plan, planning_id))
        return "p_1", drained

    monkeypatch.setattr(work, "train", train)
    done = call("run", "--data-dir", "d", "--auto-targets", "--json")
    assert done.code == 1
    assert handed == [(folder / "results" / "globals" / "training_plan", "n_1")]
    assert (done.document["plan"], done.document["failed"], done.document["selected_targets"]) == (
        "p_1",
        1,
        ["y_1d"],
    )


def test_a_planner_setting_that_is_unknown_exits_with_two(call: Call, folder: Path) -> None:
    """The file's planner tables are checked before anything is read."""
    (folder / "x.toml").write_text("[ranking]\nfolds_typo = 3\n")
    done = call("run", "--data-dir", "d", "--config", "x.toml")
    assert done.code == 2
    assert "folds_typo" in done.err


def test_a_real_planning_writes_and_records(call: Call, folder: Path) -> None:
    """`plan make` with given targets: the plan is there, valid, and explained by `why`."""
    write_data(folder / "data")
    words = "plan make --data-dir data --targets fwd_ret_1d --families lightgbm --json"
    done = call(*words.split())
    assert done.code == 0
    assert done.document["jobs"] >= 1
    assert call("plan", "validate", "results").code == 0
    assert "ROUTE_" in call("why", "fwd_ret_1d").out
