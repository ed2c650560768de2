"""How two accepted plans differ, from the log alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from store_samples import cs_job, plan_of

from daemon.views.difference_words import comparison_parts
from daemon.views.plan_compared import compared, findings_of, plan_before
from store import Plan, PlanStore
from store.errors import NotFound
from store.events import PlanningStarted, RouteChosen, TargetRanked

HEAVY = ("pyarrow", "pandas", "numpy", "torch", "lightgbm", "sklearn")


def accepted(store: PlanStore, name: str, scores: dict[str, float]) -> Plan:
    """A plan of those targets whose score is above zero, with its planning."""
    plan = plan_of(*(cs_job(target) for target, score in scores.items() if score > 0))
    ranks = sorted(scores, key=lambda target: -scores[target])
    words: list[object] = [PlanningStarted(data_dir="d")]
    for target, score in scores.items():
        kept, reason = score > 0, f"score {score}"
        words.append(
            TargetRanked(
                target=target, view="CROSS_SECTIONAL", symbol=None, score=score, standard_error=0.01, p=0.01,
                q=0.01, kept=kept, reason=reason, metric="rank_ic", low=score - 0.02, high=score + 0.02,
                rank=ranks.index(target) + 1 if kept else None,
            )
        )  # fmt: skip
        route = "ROUTE_CROSS_SECTIONAL" if kept else "ROUTE_BLOCKED"
        words.append(RouteChosen(target=target, symbol=None, route=route, reason=reason))
    store.record(f"n_{name}", words)  # type: ignore[arg-type]
    store.accept(plan, source="test", name=name, planning_id=f"n_{name}")
    return plan


def test_ranks_routes_and_jobs_that_moved_are_told_with_their_numbers(store: PlanStore) -> None:
    """A target that overtook another, one that was dropped, its job that is gone."""
    before = accepted(store, "one", {"a": 0.5, "b": 0.3, "c": 0.2})
    after = accepted(store, "two", {"a": 0.3, "b": 0.6, "c": -0.1})
    parts = comparison_parts(compared(store.reading, before.id, after.id))
    assert any(line.startswith("b 2 -> 1 (score 0.3 -> 0.6)") for line in parts["ranks"])
    assert any("c all symbols: ROUTE_CROSS_SECTIONAL -> ROUTE_BLOCKED" in line for line in parts["routes"])
    assert any(line.startswith("- cs_c") for line in parts["jobs"])


def test_a_plan_does_not_differ_from_itself(store: PlanStore) -> None:
    """Nothing is told of two equal plans."""
    plan = accepted(store, "one", {"a": 0.5})
    found = compared(store.reading, plan.id, plan.id)
    assert found.equal
    assert comparison_parts(found) == {}


def test_the_plan_before_is_the_one_accepted_before(store: PlanStore) -> None:
    """The first has none, nor has one that nobody knows."""
    one, two = accepted(store, "one", {"a": 0.5}), accepted(store, "two", {"a": 0.5, "b": 0.4})
    assert plan_before(store.reading, one.id) is None
    assert plan_before(store.reading, two.id) == one.id
    assert plan_before(store.reading, "p_nobody") is None


def test_a_plan_from_elsewhere_is_compared_by_its_document(store: PlanStore) -> None:
    """Without a planning there are no ranks to compare, but jobs are."""
    plan = plan_of(cs_job("a"))
    store.accept(plan, source="test", name="t")
    other = accepted(store, "two", {"a": 0.5, "b": 0.4})
    found = compared(store.reading, plan.id, other.id)
    assert findings_of(store.reading, plan.id).routes is None
    assert found.ranks == ()
    assert [(job.job_id, job.kind) for job in found.jobs] == [("cs_b", "added")]


def test_an_unknown_plan_is_not_found(store: PlanStore) -> None:
    """Whichever side it is."""
    plan = accepted(store, "one", {"a": 0.5})
    with pytest.raises(NotFound, match="p_nobody"):
        compared(store.reading, "p_nobody", plan.id)


def test_comparing_loads_no_library_of_data_or_training() -> None:
    """The page compares in its own process, which stays small."""
    script = (
        f"import sys, daemon.views.plan_compared; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"
