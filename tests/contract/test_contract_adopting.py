"""Taking over a claim: of all who were sent to do it, one may start, and the one who claimed is out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of

from store import Claim, LeaseLost, PlanStore, new_event_id
from store.errors import EventIdReused
from store.events import FitProgressed, FitReleased

SENT, FIRST = "sent", "first"
DUPLICATES = 20


def claimed(plan_store: PlanStore, **options: object) -> Claim:
    """Return the claim of a fit that waits to be taken over."""
    job = {**cs_job("y", families=("LightGBM",)), **options}
    plan_store.accept(plan_of(job), source="s", name="n")
    return plan_store.claim("sender", stage="cpu", lease_seconds=60)[0]


def test_a_claim_goes_to_another_worker_with_all_a_child_needs(plan_store: PlanStore, clock: Clock) -> None:
    """Fence, attempt and what the child needs stay; worker and end of the lease are new."""
    claim = claimed(plan_store, features=["f1"])
    clock.move(10)
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    assert taken == replace(claim, worker=FIRST, lease_until=taken.lease_until)
    assert (taken.lease_until - claim.lease_until).total_seconds() == 10
    assert plan_store.reading.leased_workers() == {FIRST}
    plan_store.started(taken, STARTED)
    plan_store.checkpointed(taken, checkpoint(1))
    plan_store.succeeded(taken, SUCCEEDED)
    fit = plan_store.reading.fit(claim.fit_id)
    assert (fit.state, fit.attempt, fit.worker) == ("succeeded", 1, FIRST)
    assert [row.worker for row in plan_store.reading.attempts(claim.fit_id)] == [FIRST]


def words(plan_store: PlanStore, claim: Claim) -> tuple[Callable[[], object], ...]:
    """Every word that can be said under a claim."""
    return (
        lambda: plan_store.renew(claim),
        lambda: plan_store.started(claim, STARTED),
        lambda: plan_store.progressed(claim, FitProgressed(step=1, steps_total=2)),
        lambda: plan_store.succeeded(claim, SUCCEEDED),
        lambda: plan_store.released(claim, FitReleased(cause="stop")),
    )


def test_who_claimed_may_say_nothing_once_it_was_taken_over(plan_store: PlanStore) -> None:
    """The fence is the same, so the worker decides: two never speak for one fit."""
    claim = claimed(plan_store)
    plan_store.renew(claim)
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    head = plan_store.head_seq()
    for word in words(plan_store, claim):
        with pytest.raises(LeaseLost, match=f"{FIRST} has it"):
            word()
    assert plan_store.head_seq() == head
    plan_store.renew(taken)


def test_a_claim_is_taken_over_once(plan_store: PlanStore) -> None:
    """Neither another worker nor the same one again may have it, before and after the start."""
    claim = claimed(plan_store)
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    for worker in (FIRST, "second"):
        with pytest.raises(LeaseLost):
            plan_store.take_over(claim.fit_id, claim.fence, worker)
    plan_store.started(taken, STARTED)
    with pytest.raises(LeaseLost):
        plan_store.take_over(claim.fit_id, claim.fence, "second")
    assert plan_store.reading.leased_workers() == {FIRST}


def test_what_runs_is_not_taken_over(plan_store: PlanStore) -> None:
    """A fit that its claimer started itself stays its own."""
    claim = claimed(plan_store)
    plan_store.started(claim, STARTED)
    with pytest.raises(LeaseLost, match="running"):
        plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    plan_store.renew(claim)


def test_an_old_fence_and_an_unknown_fit_are_refused(plan_store: PlanStore, clock: Clock) -> None:
    """A submission that comes after its lease was taken back does nothing; the next fence is a new claim."""
    claim = claimed(plan_store)
    clock.move(61)
    plan_store.rescue()
    for fit_id, fence in ((claim.fit_id, claim.fence), ("f_unknown", 1), (claim.fit_id, claim.fence + 7)):
        with pytest.raises(LeaseLost):
            plan_store.take_over(fit_id, fence, FIRST)
    again = plan_store.claim("sender", stage="cpu")[0]
    with pytest.raises(LeaseLost):
        plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    assert plan_store.take_over(again.fit_id, again.fence, FIRST).attempt == 2


def test_a_lease_past_its_end_can_be_taken_over_until_it_is_taken_back(
    plan_store: PlanStore, clock: Clock
) -> None:
    """As with a renewal: only the rescue ends a lease, and a takeover renews it."""
    claim = claimed(plan_store)
    clock.move(61)
    plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    assert plan_store.rescue() == ()


def test_a_takeover_said_again_under_its_event_id_is_one(plan_store: PlanStore) -> None:
    """The answer that was lost is given again, to the same worker only, and recorded once."""
    claim, event_id = claimed(plan_store), new_event_id()
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST, event_id=event_id)
    head = plan_store.head_seq()
    assert plan_store.take_over(claim.fit_id, claim.fence, FIRST, event_id=event_id) == taken
    with pytest.raises(LeaseLost):
        plan_store.take_over(claim.fit_id, claim.fence, "second", event_id=event_id)
    assert plan_store.head_seq() == head
    plan_store.released(taken, FitReleased(cause="stop"))
    with pytest.raises(LeaseLost):
        plan_store.take_over(claim.fit_id, claim.fence, FIRST, event_id=event_id)
    started = new_event_id()
    again = plan_store.claim("sender", stage="cpu")[0]
    plan_store.started(again, STARTED, event_id=started)
    with pytest.raises(EventIdReused):
        plan_store.take_over(again.fit_id, again.fence, FIRST, event_id=started)


def test_a_claim_that_was_held_or_cancelled_meanwhile(plan_store: PlanStore) -> None:
    """A hold lets what was claimed go on; a cancelled fit is not taken over."""
    claim = claimed(plan_store)
    plan_store.hold(claim.fit_id)
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    plan_store.cancel(claim.fit_id)
    with pytest.raises(LeaseLost, match="cancelled"):
        plan_store.started(taken, STARTED)
    with pytest.raises(LeaseLost, match="cancelled"):
        plan_store.take_over(claim.fit_id, claim.fence, "second")


def test_the_worker_who_took_over_is_rescued_like_any(plan_store: PlanStore) -> None:
    """When it dies its fit is taken back, whoever claimed it and lives."""
    claim = claimed(plan_store)
    plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    assert plan_store.rescue(is_dead=lambda worker: worker == "sender") == ()
    rescued = plan_store.rescue(is_dead=lambda worker: worker == FIRST)
    assert [one.worker for one in rescued] == [FIRST]


def test_a_rebuild_keeps_who_took_over(plan_store: PlanStore) -> None:
    """The log alone says whose the claim is."""
    claim = claimed(plan_store)
    taken = plan_store.take_over(claim.fit_id, claim.fence, FIRST)
    plan_store.rebuild()
    assert plan_store.reading.fit(claim.fit_id).worker == FIRST
    plan_store.started(taken, STARTED)
    assert plan_store.verify().ok


def test_of_twenty_at_once_one_takes_over(plan_store: PlanStore) -> None:
    """Twenty duplicates of one submission race; exactly one has the claim, and the log says so once."""
    claim = claimed(plan_store)

    def try_it(number: int) -> Claim | None:
        try:
            return plan_store.take_over(claim.fit_id, claim.fence, f"w{number}")
        except LeaseLost:
            return None
        finally:
            plan_store.close()

    with ThreadPoolExecutor(DUPLICATES) as pool:
        taken = [one for one in pool.map(try_it, range(DUPLICATES)) if one is not None]
    assert len(taken) == 1
    assert len(plan_store.events(kinds=["FitHandedOver"])) == 1
    assert plan_store.reading.leased_workers() == {taken[0].worker}
