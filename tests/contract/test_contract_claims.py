"""Claims: pauses, holds, room, causes of failure, batches, and ends that lease the next fit."""

from __future__ import annotations

import pytest
from store_samples import SUCCEEDED, Clock, cs_job, plan_of

from store import Claim, Failure, LeaseLost, NotFound, PlanRejected, PlanStore, RetryPolicy, Room, WrongState
from store.retries import BAD_INPUT, DISK_FULL, LOST_WORKER, OUT_OF_MEMORY, TIME_LIMIT

POLICY = RetryPolicy()


def accept(
    plan_store: PlanStore, *targets: str, seed: int = 1, families: tuple[str, ...] = ("LightGBM",)
) -> str:
    jobs = [cs_job(target, families=families) for target in targets]
    return plan_store.accept(plan_of(*jobs, seed=seed), source="s", name="n").plan_id


def targets(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.target for claim in claims]


@pytest.mark.parametrize("scope", [{}, {"stage": "cpu"}, {"host": "here"}, {"stage": "cpu", "host": "here"}])
def test_nothing_is_claimed_within_a_pause(plan_store: PlanStore, scope: dict[str, str]) -> None:
    """Everything, a stage, a host, or both together: nothing is claimed until the same scope is resumed."""
    accept(plan_store, "a")
    assert plan_store.pause(**scope, reason="maintenance") is not None
    assert plan_store.pause(**scope) is None, "it is paused already"
    assert plan_store.claim("w", stage="cpu", host="here") == ()
    assert plan_store.resume(**scope) is not None
    assert plan_store.resume(**scope) is None, "there is no pause any more"
    assert targets(plan_store.claim("w", stage="cpu", host="here")) == ["a"]
    assert plan_store.verify().ok


def test_a_pause_holds_only_for_its_scope(plan_store: PlanStore) -> None:
    """Another plan, another stage and another host go on."""
    first = accept(plan_store, "a", families=("LightGBM", "LSTM"))
    accept(plan_store, "b", seed=2, families=("LSTM",))
    plan_store.pause(plan=first)
    plan_store.pause(stage="cpu")
    plan_store.pause(host="elsewhere")
    assert targets(plan_store.claim("w", stage="gpu", limit=9, host="here")) == ["b"]
    with pytest.raises(NotFound):
        plan_store.pause(plan="p_none")


def test_running_fits_go_on_through_a_pause(plan_store: PlanStore) -> None:
    """A pause takes nothing away: the word of a claimed fit is taken."""
    accept(plan_store, "a", "b")
    (claim,) = plan_store.claim("w", stage="cpu")
    plan_store.pause()
    plan_store.succeeded(claim, SUCCEEDED)
    assert plan_store.claim("w", stage="cpu") == ()


def test_a_held_fit_lets_others_pass(plan_store: PlanStore) -> None:
    """A hold is on one fit; it can be put once, and lifted once."""
    accept(plan_store, "a", "b")
    first = plan_store.reading.fits()[0]
    plan_store.hold(first.id, reason="the label is looked at")
    assert plan_store.reading.fit(first.id).held == "the label is looked at"
    with pytest.raises(WrongState):
        plan_store.hold(first.id)
    assert targets(plan_store.claim("w", stage="cpu", limit=9)) == ["b"]
    plan_store.lift_hold(first.id)
    with pytest.raises(WrongState):
        plan_store.lift_hold(first.id)
    assert targets(plan_store.claim("w", stage="cpu", limit=9)) == ["a"]


def needing(target: str, **needs: int) -> dict[str, object]:
    job = cs_job(target, families=("LightGBM",))
    return {**job, "fits": [{"family": "LightGBM", "needs": needs}]}


def test_claims_stay_within_the_room_together(plan_store: PlanStore) -> None:
    """What does not fit beside the more urgent ones is left, and a smaller one behind it is taken."""
    jobs = [
        needing("a", cores=2),
        needing("b", cores=3),
        needing("c", cores=1, memory_bytes=4 * 10**9),
        needing("d"),
    ]
    plan_store.accept(plan_of(*jobs), source="s", name="n")
    taken = plan_store.claim("w", stage="cpu", limit=9, room=Room(cores=3, gpus=0, memory_bytes=8 * 10**9))
    assert targets(taken) == ["a", "c"]
    assert [(claim.cores, claim.memory_bytes) for claim in taken] == [(2, 0), (1, 4 * 10**9)]
    small = plan_store.claim("w", stage="cpu", limit=9, room=Room(cores=2, gpus=0, memory_bytes=10**9))
    assert targets(small) == ["d"]


@pytest.mark.parametrize(
    ("fits", "place"),
    [
        ([{"family": "LightGBM", "needs": {"cores": -1}}], "jobs[0].fits[0].needs.cores"),
        ([{"family": "LightGBM", "needs": {"disks": 1}}], "jobs[0].fits[0].needs"),
        ([{"family": "LightGBM", "depends_on": "XGBoost"}], "jobs[0].fits[0].depends_on"),
        ([{"family": "LightGBM", "depends_on": ["XGBoost"]}], "jobs[0].fits"),
        ([{"family": "LightGMB"}], "jobs[0].fits[0].family"),
        (["LightGBM"], "jobs[0].fits[0]"),
    ],
)
def test_impossible_needs_are_refused_with_their_place(fits: list[object], place: str) -> None:
    """A need that is no number, an unknown family, or a fit that does not come before: the place is named."""
    with pytest.raises(PlanRejected) as refused:
        plan_of({**cs_job("a", families=("LightGBM", "XGBoost")), "fits": fits})
    assert refused.value.place == place


def test_needs_and_dependencies_come_from_the_document(plan_store: PlanStore) -> None:
    """A family of the same job by its name, one of an earlier job by JOB/Family."""
    first = {
        **cs_job("a", families=("LightGBM", "XGBoost")),
        "fits": [{"family": "xgboost", "depends_on": ["lightgbm"]}],
    }
    second = {
        **cs_job("b", families=("LightGBM",)),
        "fits": [{"family": "LightGBM", "depends_on": ["cs_a/XGBoost"]}],
    }
    plan = plan_of(first, second)
    plan_store.accept(plan, source="s", name="n")
    for family in ("LightGBM", "XGBoost", "LightGBM"):
        (claim,) = plan_store.claim("w", stage="cpu", limit=9)
        assert claim.family == family
        plan_store.succeeded(claim, SUCCEEDED)


def failed(plan_store: PlanStore, cause: str) -> Claim:
    (claim,) = plan_store.claim("w", stage="cpu")
    plan_store.failed(claim, Failure(cause=cause, sentence="it fell over", retryable=True))
    return claim


@pytest.mark.parametrize(
    ("cause", "wait_seconds"),
    [(LOST_WORKER, 0.0), (DISK_FULL, 30.0), (OUT_OF_MEMORY, 60.0), ("library", 5.0)],
)
def test_each_cause_waits_as_long_as_it_should(
    plan_store: PlanStore, clock: Clock, cause: str, wait_seconds: float
) -> None:
    """A lost process is tried again at once, a want of memory or disk later than an ordinary failure."""
    accept(plan_store, "a")
    failed(plan_store, cause)
    if wait_seconds:
        clock.move(wait_seconds - 0.001)
        assert plan_store.claim("w", stage="cpu") == ()
        clock.move(0.001)
    assert plan_store.claim("w", stage="cpu")


def test_a_full_disk_uses_up_no_attempt(plan_store: PlanStore, clock: Clock) -> None:
    """However often the disk is full, the fit waits and is not given up."""
    accept(plan_store, "a")
    for _ in range(3 * POLICY.attempts_max):
        failed(plan_store, DISK_FULL)
        clock.move(POLICY.disk_seconds)
    fit = plan_store.reading.fits()[0]
    assert (fit.state, fit.failures, fit.expiries) == ("ready", 0, 0)


def test_a_process_that_is_always_lost_ends_among_the_failed(plan_store: PlanStore) -> None:
    """Lost processes count like lost leases: at the tenth the fit is given up, and a person can retry it."""
    accept(plan_store, "a")
    for _ in range(POLICY.expiries_max):
        claim = failed(plan_store, LOST_WORKER)
    fit = plan_store.reading.fit(claim.fit_id)
    assert (fit.state, fit.cause, fit.attempt) == ("failed", LOST_WORKER, POLICY.expiries_max)
    plan_store.retry(fit.id)
    assert plan_store.claim("w", stage="cpu")


@pytest.mark.parametrize("cause", [BAD_INPUT, TIME_LIMIT])
def test_what_would_end_in_the_same_way_is_not_tried_again(plan_store: PlanStore, cause: str) -> None:
    """The same input fails again, and what took too long takes too long again, whatever the child says."""
    accept(plan_store, "a")
    claim = failed(plan_store, cause)
    assert plan_store.reading.fit(claim.fit_id).state == "failed"


@pytest.mark.parametrize("many", [3, 40])
def test_ends_and_claims_in_one_go(plan_store: PlanStore, many: int) -> None:
    """The ended fits succeed, the next are leased, and the last ends complete the plan."""
    accept(plan_store, *(f"y{number}" for number in range(2 * many)))
    first = plan_store.claim("w", stage="cpu", limit=many)
    seqs, second = plan_store.end_and_claim(
        [(claim, SUCCEEDED) for claim in first], "w", stage="cpu", limit=many
    )
    told = {event.seq: event.fit for event in plan_store.events(kinds=["FitSucceeded"])}
    assert [told[seq] for seq in seqs if isinstance(seq, int)] == [claim.fit_id for claim in first]
    assert len({claim.fit_id for claim in (*first, *second)}) == 2 * many
    assert (
        plan_store.end_and_claim([(claim, SUCCEEDED) for claim in second], "w", stage="cpu", limit=many)[1]
        == ()
    )
    assert plan_store.reading.plans()[0].state == "completed"
    assert plan_store.reading.leased_workers() == frozenset()
    assert plan_store.verify().ok


def test_a_stale_word_in_a_batch_is_refused_alone(plan_store: PlanStore, clock: Clock) -> None:
    """A fit that another has meanwhile is answered with LeaseLost; the others end."""
    accept(plan_store, "a", "b")
    stale, good = plan_store.claim("w", stage="cpu", limit=2, lease_seconds=60)
    clock.move(59)
    plan_store.renew(good)
    clock.move(2)
    plan_store.rescue()
    refused, seq = plan_store.succeeded_many([(stale, SUCCEEDED), (good, SUCCEEDED)])
    assert isinstance(refused, LeaseLost)
    assert isinstance(seq, int)
    assert [fit.state for fit in plan_store.reading.fits()] == ["ready", "succeeded"]


def test_seqs_are_those_of_the_log(plan_store: PlanStore) -> None:
    """The seq that a word returns finds its event, also when numbers are given with the commit."""
    accept(plan_store, "a", "b")
    for claim in plan_store.claim("w", stage="cpu", limit=2):
        seq = plan_store.succeeded(claim, SUCCEEDED)
        (event,) = plan_store.events(after=seq - 1, limit=1)
        assert (event.kind, event.fit) == ("FitSucceeded", claim.fit_id)
