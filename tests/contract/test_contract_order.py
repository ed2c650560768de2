"""The order of claims: urgent ones first, plans beside each other, and nothing waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from store_samples import SUCCEEDED, Clock, cs_job, plan_of

from store import Claim, Plan, PlanStore, Room
from store.events import DaemonStarted
from store.ordering import ClaimOrder

STEP, SHARE = 3600.0, 60.0


def plan(seed: int, *fits: str, priority: int = 2, cores: int = 1) -> Plan:
    """A plan of one fit for each target; its needs are those of each."""
    made = plan_of(*(cs_job(target, families=("LightGBM",), priority=priority) for target in fits), seed=seed)
    jobs = (replace(job, fits=tuple(replace(fit, cores=cores) for fit in job.fits)) for job in made.jobs)
    return replace(made, jobs=tuple(jobs))


def accept(plan_store: PlanStore, *plans: Plan) -> list[str]:
    """Accept plans at the same moment; return their ids."""
    return [plan_store.accept(one, source="s", name=f"n{one.training['seed']}").plan_id for one in plans]


def many(name: str, fits: int) -> list[str]:
    return [f"{name}{number}" for number in range(fits)]


def targets(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.target for claim in claims]


def test_a_claim_shares_its_places_among_plans(plan_store: PlanStore) -> None:
    """Six places and three plans: two each, the older plan's first; a plan with little leaves its share."""
    accept(plan_store, plan(1, *many("a", 9)), plan(2, *many("b", 9)), plan(3, "c0"))
    assert targets(plan_store.claim("w", stage="cpu", limit=6)) == ["a0", "b0", "c0", "a1", "b1", "a2"]
    assert targets(plan_store.claim("v", stage="cpu", limit=2)) == ["b2", "a3"]
    assert plan_store.verify().ok


def test_a_plan_that_has_little_at_work_is_served_first(plan_store: PlanStore, clock: Clock) -> None:
    """A plan that comes while another fills the host gets the next places, but for its lateness in steps."""
    accept(plan_store, plan(1, *many("a", 20)))
    first = plan_store.claim("w", stage="cpu", limit=5)
    clock.move(2.5 * SHARE)
    accept(plan_store, plan(2, *many("b", 20)))
    assert targets(plan_store.claim("w", stage="cpu", limit=4)) == ["b0", "b1", "b2", "a5"]
    for claim in first:
        plan_store.succeeded(claim, SUCCEEDED)
    assert targets(plan_store.claim("w", stage="cpu", limit=4)) == ["a6", "a7", "a8", "a9"]


def test_what_ends_with_a_claim_counts_no_more(plan_store: PlanStore) -> None:
    """A plan whose fits end in the same word has its places back for it."""
    accept(plan_store, plan(1, *many("a", 4)), plan(2, *many("b", 4)))
    one, other = plan_store.claim("w", stage="cpu", limit=2)
    assert targets((one, other)) == ["a0", "b0"]
    _, claims = plan_store.end_and_claim([(one, SUCCEEDED)], "w", stage="cpu", limit=2)
    assert targets(claims) == ["a1", "a2"]


def test_a_more_urgent_fit_goes_before_shares(plan_store: PlanStore) -> None:
    """A step of priority weighs as much as sixty fits at work."""
    accept(plan_store, plan(1, *many("a", 5), priority=3), plan(2, *many("b", 5)))
    assert targets(plan_store.claim("w", stage="cpu", limit=6)) == [*many("a", 5), "b0"]


def test_priorities_age(plan_store: PlanStore, clock: Clock) -> None:
    """Urgent plans come one after the other: one less urgent by two waits two steps and no longer."""
    accept(plan_store, plan(1, "patient", priority=1))
    for number in range(1, 50):
        clock.move(300)
        accept(plan_store, plan(1 + number, f"urgent{number}", priority=3))
        (claim,) = plan_store.claim("w", stage="cpu")
        plan_store.succeeded(claim, SUCCEEDED)
        if claim.target == "patient":
            break
    assert number * 300 == 2 * STEP


@pytest.mark.parametrize("step_seconds", [0.0, 600.0])
def test_the_steps_are_what_the_store_is_told(
    plan_store: PlanStore, clock: Clock, step_seconds: float
) -> None:
    """With a step of nothing age alone counts; a shorter one lets less urgent fits come sooner."""
    plan_store.order = ClaimOrder(priority_step_seconds=step_seconds, share_step_seconds=0)
    accept(plan_store, plan(1, *many("a", 3), priority=1))
    clock.move(step_seconds + 1)
    accept(plan_store, plan(2, *many("b", 3), priority=2))
    assert targets(plan_store.claim("w", stage="cpu", limit=4)) == [*many("a", 3), "b0"]


def test_a_plan_that_was_over_waits_anew(plan_store: PlanStore, clock: Clock) -> None:
    """A retry that opens a plan again puts it behind plans that have waited; one in an open plan does not."""
    accept(plan_store, plan(1, "a0", "a1"))
    one, other = plan_store.claim("w", stage="cpu", limit=2)
    plan_store.cancel(one.fit_id)
    plan_store.succeeded(other, SUCCEEDED)
    clock.move(10)
    accept(plan_store, plan(2, "b0", "b1"))
    plan_store.cancel(plan_store.claim("w", stage="cpu")[0].fit_id)
    clock.move(10)
    for fit in plan_store.reading.fits(states=("cancelled",)):
        plan_store.retry(fit.id)
    assert targets(plan_store.claim("w", stage="cpu", limit=3)) == ["b0", "a0", "b1"]


def small_room(free: int, *, gpus: int = 0) -> Room:
    return Room(cores=free, gpus=gpus, whole=Room(cores=4, gpus=1))


def test_room_is_kept_for_a_fit_that_needs_much(plan_store: PlanStore, clock: Clock) -> None:
    """Small fits pass a large one as long as they came within a step of it; those that came later wait."""
    (large,) = accept(plan_store, plan(1, "large", cores=4))
    clock.move(STEP)
    accept(plan_store, plan(2, "soon"))
    clock.move(1)
    accept(plan_store, plan(3, "late"))
    room = small_room(3)
    assert targets(plan_store.claim("w", stage="cpu", limit=3, room=room)) == ["soon"]
    assert plan_store.claim("w", stage="cpu", limit=2, room=small_room(2)) == ()
    assert targets(plan_store.claim("w", stage="cpu", limit=2, room=replace(room, whole=None))) == ["late"]
    assert targets(plan_store.claim("w", stage="cpu", limit=4, room=small_room(4))) == ["large"]
    assert plan_store.reading.plan_row(large).open == 1


def test_a_host_that_is_too_small_keeps_nothing(plan_store: PlanStore, clock: Clock) -> None:
    """Room is kept only by a host that could hold the large fit when nothing else runs there."""
    accept(plan_store, plan(1, "huge", cores=5))
    clock.move(STEP + 1)
    accept(plan_store, plan(2, "small"))
    assert targets(plan_store.claim("w", stage="cpu", limit=2, room=small_room(3))) == ["small"]


def test_what_is_kept_is_only_what_is_lacking(plan_store: PlanStore, clock: Clock) -> None:
    """A fit that waits for a device holds nothing up that needs none."""
    first = plan_of(cs_job("a", families=("LSTM",)), seed=1)
    second = plan_of(cs_job("b", families=("MLP",)), seed=2)
    blend = replace(second.fits[0], cores=1, gpus=0)
    accept(plan_store, first)
    clock.move(2 * STEP)
    accept(plan_store, replace(second, jobs=(replace(second.jobs[0], fits=(blend,)),)))
    accept(plan_store, plan_of(cs_job("c", families=("MLP",)), seed=3))
    taken = plan_store.claim("w", stage="gpu", limit=3, room=small_room(2))
    assert targets(taken) == ["b"]


def test_the_place_in_the_queue_is_the_place_in_the_claim(plan_store: PlanStore, clock: Clock) -> None:
    """How many are said to come first is how many come first, over plans, priorities and shares."""
    chance = random.Random(5)  # noqa: S311 - always the same
    plan_store.order = ClaimOrder(priority_step_seconds=100, share_step_seconds=30)
    plan_store.daemon_started(
        DaemonStarted(
            worker="h:1:b:9",
            host="h",
            version="1",
            boot_id="b",
            priority_step_seconds=100,
            share_step_seconds=30,
        )
    )
    for seed in range(4):
        jobs = [
            cs_job(f"{'abcd'[seed]}{number}", families=("LightGBM",), priority=chance.randint(1, 3))
            for number in range(6)
        ]
        plan_store.accept(plan_of(*jobs, seed=seed), source="s", name="n")
        clock.move(chance.choice((0, 30, 45, 100)))
    plan_store.claim("h:1:b:9", stage="cpu", limit=5)
    waiting = plan_store.reading.fits(states=("ready",))
    told = {fit.id: plan_store.reading.waiting_context(fit, is_dead=lambda worker: False) for fit in waiting}
    claimed = [claim.fit_id for claim in plan_store.claim("v", stage="cpu", limit=len(waiting))]
    assert [told[fit_id].ahead for fit_id in claimed] == list(range(len(claimed)))
    assert sum(context.ahead_of_others != () for context in told.values()) > len(waiting) // 2


def test_a_plan_that_is_paused_on_all_hosts_at_work_comes_before_nothing(plan_store: PlanStore) -> None:
    """It waits on one host for its panel: where that is the only one, no fit of it is started first."""
    worker = "h:1:b:9"
    plan_store.daemon_started(DaemonStarted(worker=worker, host="h", version="1", boot_id="b"))
    first, second = accept(plan_store, plan(1, "a"), plan(2, "b"))
    (fit,) = plan_store.reading.fits(plan=second)

    def ahead() -> int | None:
        return plan_store.reading.waiting_context(fit, is_dead=lambda worker: False).ahead

    assert ahead() == 1
    plan_store.pause(plan=first, host="h")
    assert ahead() == 0
    plan_store.daemon_started(DaemonStarted(worker="g:1:b:9", host="g", version="1", boot_id="b"))
    assert ahead() == 1


def test_nothing_is_passed_over_by_more_than_the_steps_say(plan_store: PlanStore, clock: Clock) -> None:
    """Whatever comes and ends: what is claimed came no later than steps of priority and share allow."""
    chance, order = random.Random(3), plan_store.order  # noqa: S311 - always the same
    came: dict[str, tuple[float, int, str]] = {}
    at_work: list[Claim] = []
    for seed in range(40):
        clock.move(chance.choice((1, 60, 900)))
        priority = chance.randint(0, 3)
        made = plan(seed, *many(f"p{seed}-", chance.randint(1, 4)), priority=priority)
        accept(plan_store, made)
        came |= {fit.id: (clock.now.timestamp(), priority, made.id) for fit in made.fits}
        held = Counter(claim.plan_id for claim in at_work)
        for claim in plan_store.claim("w", stage="cpu", limit=chance.randint(1, 3)):
            since, urgency, of = came.pop(claim.fit_id)
            for other_since, other_urgency, other in came.values():
                allowed = (urgency - other_urgency) * order.priority_step_seconds
                allowed += max(0, held[other] - held[of]) * order.share_step_seconds
                assert since <= other_since + allowed, "it was passed over for too long"
            held[claim.plan_id] += 1
            at_work.append(claim)
        while len(at_work) > 4:
            plan_store.succeeded(at_work.pop(chance.randrange(len(at_work))), SUCCEEDED)
