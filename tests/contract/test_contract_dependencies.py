"""Fits that need the success of others: when they are claimed, given up and tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import SUCCEEDED, cs_job, plan_of

from store import Plan, PlanStore


def chain() -> Plan:
    """Three CPU fits; each needs the one before it."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost")), cs_job("b", families=("LightGBM",)))
    first, second, third = plan.fits
    one = replace(plan.jobs[0], fits=(first, replace(second, depends_on=(first.id,))))
    other = replace(plan.jobs[1], fits=(replace(third, depends_on=(second.id,)),))
    return replace(plan, jobs=(one, other))


def states(plan_store: PlanStore) -> list[str]:
    return [fit.state for fit in plan_store.reading.fits()]


@pytest.fixture
def chained(plan_store: PlanStore) -> list[str]:
    """The ids of the fits of an accepted chain, in their order."""
    plan = chain()
    plan_store.accept(plan, source="s", name="n")
    return [fit.id for fit in plan.fits]


def test_a_fit_is_claimed_once_all_it_needs_have_succeeded(plan_store: PlanStore, chained: list[str]) -> None:
    """One after the other, however many are asked for."""
    for fit_id in chained:
        claims = plan_store.claim("w", stage="cpu", limit=9)
        assert [claim.fit_id for claim in claims] == [fit_id]
        plan_store.succeeded(claims[0], SUCCEEDED)
    assert plan_store.verify().ok


def test_fits_that_wait_in_vain_are_given_up_and_come_back(plan_store: PlanStore, chained: list[str]) -> None:
    """A cancelled fit takes those behind it along; its retry brings them back."""
    plan_store.cancel(chained[0])
    assert states(plan_store) == ["cancelled", "unavailable", "unavailable"]
    assert plan_store.reading.plans()[0].state == "completed"
    plan_store.retry(chained[0])
    assert states(plan_store) == ["ready", "ready", "ready"]
    assert plan_store.reading.plans()[0].state == "active"
    assert plan_store.verify().ok


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_retry_leaves_no_fit_that_can_never_be_claimed(
    plan_store: PlanStore, chained: list[str], place: int
) -> None:
    """Whichever fit of a broken chain is tried again, what it needs is tried again too, and all can end."""
    plan_store.cancel(chained[0])
    plan_store.retry(chained[place])
    for _ in chained:
        for claim in plan_store.claim("w", stage="cpu"):
            plan_store.succeeded(claim, SUCCEEDED)
    assert states(plan_store) == ["succeeded", "succeeded", "succeeded"]
    assert plan_store.verify().ok


def test_a_need_that_comes_back_with_another_is_not_retried_twice(plan_store: PlanStore) -> None:
    """The last fit needs both others, of which the second needs the first: one retry brings all three."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost", "Ensemble")))
    first, second, third = plan.fits
    second = replace(second, depends_on=(first.id,))
    third = replace(third, awaits=(), depends_on=(first.id, second.id))
    plan = replace(plan, jobs=(replace(plan.jobs[0], fits=(first, second, third)),))
    plan_store.accept(plan, source="s", name="n")
    plan_store.cancel(first.id)
    plan_store.retry(third.id)
    assert states(plan_store) == ["ready", "ready", "ready"]
    assert plan_store.verify().ok
