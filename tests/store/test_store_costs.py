"""What fits have cost, asked of the log's projections."""

from __future__ import annotations

from typing import Any

import pytest
from store_samples import STARTED, Clock, cs_job, plan_of

from store import Failure, PlanStore
from store.database import connect
from store.events import FitSucceeded


def sized(target: str, rows: int | None, features: int | None) -> dict[str, Any]:
    """A job of one family that says its size."""
    names = None if features is None else [f"f{number}" for number in range(features)]
    return {**cs_job(target, families=("LightGBM",)), "estimated_samples": rows, "features": names}


def ended(seconds: float) -> FitSucceeded:
    """A fit's last word after so many seconds."""
    return FitSucceeded(bundle="models/b", sha256="ab" * 32, metrics={}, seconds=seconds)


def trained(database_url: str, jobs: dict[str, float], *given: dict[str, Any]) -> PlanStore:
    """A store in which the jobs were trained, each in its number of seconds."""
    store = PlanStore(connect(database_url), clock=Clock())
    store.accept(plan_of(*given), source="test", name="test")
    for claim in store.claim("h:1:b:9", stage="cpu", limit=len(jobs), lease_seconds=60):
        store.started(claim, STARTED)
        store.succeeded(claim, ended(jobs[claim.job_id]))
    return store


def test_nothing_trained_is_no_cost(database_url: str) -> None:
    """An empty log has no figures, and the planner takes its own."""
    assert PlanStore(connect(database_url)).reading.past_costs() == {}


def test_start_and_slope_are_told_from_fits_of_several_sizes(database_url: str) -> None:
    """Seconds = 2 + 3 x million cells comes back, on both engines, whatever one slow fit says."""
    rows = {"a": 100_000, "b": 200_000, "c": 400_000, "d": 800_000, "e": 1_600_000}
    seconds = {f"cs_{name}": 2.0 + 3.0 * count * 10 / 1e6 for name, count in rows.items()}
    seconds["cs_c"] = 500.0
    store = trained(database_url, seconds, *(sized(name, count, 10) for name, count in rows.items()))
    found = store.reading.past_costs()["LightGBM"]
    assert found["fits"] == 5
    assert found["seconds_at_least"] == pytest.approx(2.0, abs=0.01)
    assert found["seconds_per_megacell"] == pytest.approx(3.0, abs=0.01)


def test_fits_of_one_size_give_the_median_ratio(database_url: str) -> None:
    """A slope cannot be told from a start: all of it is put on the cells."""
    jobs = [sized(name, 100_000, 10) for name in "abc"]
    store = trained(database_url, {"cs_a": 4.0, "cs_b": 5.0, "cs_c": 90.0}, *jobs)
    assert store.reading.past_costs() == {
        "LightGBM": {"fits": 3, "seconds_at_least": 0.0, "seconds_per_megacell": 5.0}
    }


def test_fits_without_a_size_and_those_that_were_tried_again_are_passed_over(database_url: str) -> None:
    """An older plan's job says no rows; a second attempt may have resumed, its seconds are not the whole."""
    store = PlanStore(connect(database_url), clock=Clock())
    jobs = [sized("a", None, 10), sized("b", 1000, None), sized("c", 1000, 10)]
    store.accept(plan_of(*jobs), source="test", name="test")
    one, two, three = store.claim("h:1:b:9", stage="cpu", limit=3, lease_seconds=60)
    for claim in (one, two):
        store.started(claim, STARTED)
        store.succeeded(claim, ended(1.0))
    store.failed(three, Failure(cause="bad_input", sentence="no", where="dataset"))
    store.retry(three.fit_id)
    (again,) = store.claim("h:1:b:9", stage="cpu", limit=1, lease_seconds=60)
    store.started(again, STARTED)
    store.succeeded(again, ended(1.0))
    assert store.reading.past_costs() == {}
