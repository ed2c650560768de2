"""What commands say of a plan's mirror, and what they tell the planner of past fits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_samples import Call
from store_samples import STARTED, Clock, cs_job, document, plan_of

from daemon.cli import work
from planner import PlanRequest
from store import PlanStore
from store.database import connect
from store.events import FitSucceeded


def write_plan(folder: Path) -> Path:
    """A plan whose mirror was edited in the master's place."""
    place = folder / "results" / "globals" / "training_plan"
    place.mkdir(parents=True)
    (place / "master_training_plan.json").write_text(json.dumps(document(cs_job("y"))))
    (place / "training_plan.json").write_text(json.dumps(document(cs_job("y", priority=9))))
    return place


def test_validate_names_the_place_where_the_mirror_differs(call: Call, folder: Path) -> None:
    """The plan is valid, and whoever edited the wrong file is told; the document has it too."""
    write_plan(folder)
    done = call("plan", "validate", "results")
    assert done.code == 0
    assert "warning: " in done.out
    assert "jobs[0].priority" in done.out
    assert "jobs[0].priority" in call("plan", "validate", "results", "--json").document["warnings"][0]


def test_a_plan_with_its_own_mirror_is_not_warned_of(call: Call, folder: Path) -> None:
    """Nothing is said where nothing differs."""
    place = write_plan(folder)
    (place / "training_plan.json").write_bytes((place / "master_training_plan.json").read_bytes())
    assert "warning" not in call("plan", "validate", "results").out
    assert call("plan", "validate", "results", "--json").document["warnings"] == []


def test_handing_a_plan_in_says_it_too(call: Call, folder: Path) -> None:
    """A rehearsal of a hand-over warns on the error stream, so that the document stays clean."""
    write_plan(folder)
    done = call("submit", "results", "--dry-run", "--json")
    assert done.code == 0
    assert "jobs[0].priority" in done.err
    assert json.loads(done.out)


def test_the_planner_is_told_what_past_fits_have_cost(
    sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked by the command line: the planner itself never asks it."""
    store = PlanStore(connect(sqlite_url), clock=Clock())
    job = {**cs_job("y", families=("LightGBM",)), "estimated_samples": 100_000, "features": ["a"] * 10}
    store.accept(plan_of(job), source="test", name="test")
    (claim,) = store.claim("h:1:b:9", stage="cpu", lease_seconds=60)
    store.started(claim, STARTED)
    store.succeeded(claim, FitSucceeded(bundle="m", sha256="ab" * 32, metrics={}, seconds=4.0))
    asked: list[PlanRequest] = []

    def planned(request: PlanRequest, *, tell: Any) -> SimpleNamespace:
        del tell
        asked.append(request)
        return SimpleNamespace(planning_id="n_0123456789abcdef", from_cache=())

    monkeypatch.setattr(work, "make_plan", planned)
    given = PlanRequest(data_dir=folder, results_dir=folder / "results")
    work.plan(store, given, quiet=True)
    costs = {"LightGBM": {"fits": 1, "seconds_at_least": 0.0, "seconds_per_megacell": 4.0}}
    assert asked == [dataclasses.replace(given, past_costs=costs)]
