"""Leases: order, stage barriers, fences, retries, rescues."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of

from store import (
    Claim,
    Failure,
    LeaseLost,
    NotFound,
    PlanStore,
    WrongState,
    new_event_id,
    open_store,
    waiting_reason,
)
from store.events import DaemonStarted, FitProgressed, FitReleased

RETRYABLE = Failure(cause="library", sentence="it fell over", where="trace", retryable=True)


def accept(plan_store: PlanStore, *jobs: dict[str, object], barrier: str = "plan", seed: int = 1) -> str:
    return plan_store.accept(plan_of(*jobs, barrier=barrier, seed=seed), source="s", name="n").plan_id


def one(plan_store: PlanStore, stage: str = "cpu") -> Claim:
    return plan_store.claim("w", stage=stage)[0]


def test_most_urgent_first_then_oldest_plan_then_plan_order(plan_store: PlanStore) -> None:
    """Claims go by priority, then by the plan's acceptance, then by place in the plan."""
    accept(plan_store, cs_job("a", families=("LightGBM",)), cs_job("b", families=("LightGBM",), priority=3))
    accept(plan_store, cs_job("c", families=("LightGBM",), priority=3), seed=2)
    assert [claim.target for claim in plan_store.claim("w", stage="cpu", limit=9)] == ["b", "c", "a"]
    assert plan_store.claim("w", stage="cpu") == ()


def test_a_claim_carries_all_a_child_needs(plan_store: PlanStore, clock: Clock) -> None:
    """Job, data, settings, features, attempt, fence and end of the lease are in the claim."""
    accept(plan_store, {**cs_job("y"), "features": ["f1", "f2"]})
    claim = plan_store.claim("w1", stage="cpu", lease_seconds=30)[0]
    assert (claim.job_id, claim.family, claim.target, claim.symbol) == ("cs_y", "LightGBM", "y", None)
    assert (claim.features, claim.training["seed"], claim.data["panel_key"]) == (("f1", "f2"), 1, "d_1")
    assert (claim.attempt, claim.fence, claim.worker, claim.checkpoint) == (1, 1, "w1", None)
    assert claim.lease_until == clock.now + timedelta(seconds=30)


def test_claims_keep_to_the_plans_asked_for(plan_store: PlanStore) -> None:
    """A drain of one plan does not touch another."""
    accept(plan_store, cs_job("a"))
    second = accept(plan_store, cs_job("b"), seed=2)
    assert plan_store.claim("w", stage="cpu", plans=[]) == ()
    assert [claim.target for claim in plan_store.claim("w", stage="cpu", limit=9, plans=[second])] == ["b"]


def test_no_gpu_fit_starts_before_the_last_cpu_fit_of_its_plan_ends(plan_store: PlanStore) -> None:
    """The plan barrier holds while a CPU fit is ready, claimed or running; other plans are not held up."""
    accept(plan_store, cs_job("a"), cs_job("b"))
    other = accept(plan_store, cs_job("c", families=("LSTM",)), seed=2)
    assert [claim.plan_id for claim in plan_store.claim("w", stage="gpu", limit=9)] == [other]
    first, second = plan_store.claim("w", stage="cpu", limit=2)
    plan_store.succeeded(first, SUCCEEDED)
    plan_store.started(second, STARTED)
    assert plan_store.claim("w", stage="gpu") == ()
    plan_store.failed(second, RETRYABLE)
    assert plan_store.claim("w", stage="gpu") == (), "a fit that waits for its retry is not final"
    plan_store.cancel(second.fit_id)
    assert len(plan_store.claim("w", stage="gpu", limit=9)) == 2


def test_the_job_barrier_holds_only_the_jobs_own_gpu_fits(plan_store: PlanStore) -> None:
    """With stage_barrier = job, a job's GPU fit starts when that job's CPU fits are done."""
    accept(plan_store, cs_job("a"), cs_job("b"), barrier="job")
    assert plan_store.claim("w", stage="gpu", limit=9) == ()
    first = one(plan_store)
    plan_store.succeeded(first, SUCCEEDED)
    assert [claim.job_id for claim in plan_store.claim("w", stage="gpu", limit=9)] == [first.job_id]


def test_unavailable_cpu_fits_do_not_hold_the_barrier(plan_store: PlanStore) -> None:
    """A CPU family that cannot run here is final from the start."""
    accept(plan_store, cs_job("a", families=("NGBoost", "LSTM")))
    assert [claim.family for claim in plan_store.claim("w", stage="gpu")] == ["LSTM"]


def late_words(plan_store: PlanStore, claim: Claim) -> None:
    """Try every word under a claim and expect each to be refused, without a trace."""
    head = plan_store.head_seq()
    words = (
        lambda: plan_store.renew(claim),
        lambda: plan_store.started(claim, STARTED),
        lambda: plan_store.progressed(claim, FitProgressed(step=1, steps_total=2)),
        lambda: plan_store.checkpointed(claim, checkpoint(1)),
        lambda: plan_store.succeeded(claim, SUCCEEDED),
        lambda: plan_store.failed(claim, RETRYABLE),
        lambda: plan_store.released(claim, FitReleased(cause="stop")),
    )
    for word in words:
        with pytest.raises(LeaseLost, match=claim.fit_id):
            word()
    assert plan_store.head_seq() == head


def test_late_words_are_refused_after_the_lease_was_taken_back(plan_store: PlanStore, clock: Clock) -> None:
    """A worker that slept past its lease cannot write, neither before nor after the next claim."""
    accept(plan_store, cs_job("a"))
    old = one(plan_store)
    clock.move(61)
    plan_store.rescue()
    late_words(plan_store, old)
    new = one(plan_store)
    assert (new.fit_id, new.attempt, new.fence) == (old.fit_id, 2, 3)
    late_words(plan_store, old)
    plan_store.succeeded(new, SUCCEEDED)
    late_words(plan_store, new)


def test_late_words_are_refused_after_a_cancel(plan_store: PlanStore) -> None:
    """A cancelled fit's process is told at its next word."""
    accept(plan_store, cs_job("a"))
    claim = one(plan_store)
    plan_store.cancel(claim.fit_id)
    late_words(plan_store, claim)


def test_a_renewed_lease_is_not_rescued(plan_store: PlanStore, clock: Clock) -> None:
    """A lease ends its length after the last renewal, not after the claim."""
    accept(plan_store, cs_job("a"))
    claim = one(plan_store)
    clock.move(59)
    assert plan_store.renew(claim) == clock.now + timedelta(seconds=60)
    clock.move(59)
    assert plan_store.rescue() == ()
    assert plan_store.reading.fits()[0].lease_until == clock.now + timedelta(seconds=1)


def test_a_lease_past_its_end_lives_until_it_is_taken_back(plan_store: PlanStore, clock: Clock) -> None:
    """Time decides when to take over, the fence who may write: a late renewal before the rescue holds."""
    accept(plan_store, cs_job("a"))
    claim = one(plan_store)
    clock.move(500)
    plan_store.renew(claim)
    assert plan_store.rescue() == ()
    plan_store.succeeded(claim, SUCCEEDED)


def test_a_rescue_says_what_was_lost(plan_store: PlanStore, clock: Clock) -> None:
    """LeaseExpired carries worker, last sign of life, last checkpoint, and the work since then."""
    accept(plan_store, cs_job("a"))
    claim = one(plan_store)
    plan_store.started(claim, STARTED)
    clock.move(10)
    plan_store.checkpointed(claim, checkpoint(7))
    clock.move(25)
    plan_store.renew(claim)
    clock.move(1000)
    rescue = plan_store.rescue()[0]
    assert (rescue.worker, rescue.cause, rescue.lost_seconds, rescue.final) == (
        "w",
        "lease ran out",
        25.0,
        False,
    )
    assert (rescue.plan_id, rescue.fit_id, rescue.attempt) == (claim.plan_id, claim.fit_id, claim.attempt)
    data = plan_store.events(kinds=["LeaseExpired"])[0].data
    assert (data["last_checkpoint_step"], data["last_seen_at"]) == (7, "2026-01-02T03:04:40Z")
    again = one(plan_store)
    assert again.checkpoint is not None
    assert (again.checkpoint.step, again.checkpoint.path, again.checkpoint.fence) == (7, "work/step-7", 1)


def test_a_dead_workers_fits_are_rescued_at_once(plan_store: PlanStore) -> None:
    """The caller knows which workers are dead; their leases need not run out."""
    accept(plan_store, cs_job("a"), cs_job("b"))
    mine, theirs = plan_store.claim("alive", stage="cpu")[0], plan_store.claim("dead", stage="cpu")[0]
    rescued = plan_store.rescue(is_dead=lambda worker: worker == "dead")
    assert [(rescue.fit_id, rescue.cause) for rescue in rescued] == [(theirs.fit_id, "daemon gone")]
    plan_store.succeeded(mine, SUCCEEDED)


def test_a_fit_whose_lease_ends_ten_times_fails(plan_store: PlanStore, clock: Clock) -> None:
    """A fit that kills its worker each time does not do so for ever."""
    accept(plan_store, cs_job("a", families=("LightGBM",)))
    for _ in range(9):
        one(plan_store)
        clock.move(61)
        assert [rescue.final for rescue in plan_store.rescue()] == [False]
    one(plan_store)
    clock.move(61)
    assert [rescue.final for rescue in plan_store.rescue()] == [True]
    fit = plan_store.reading.fits()[0]
    assert (fit.state, fit.expiries, fit.cause) == ("failed", 10, "internal")
    assert plan_store.reading.plans()[0].state == "completed"


def test_a_retryable_failure_waits_and_is_tried_three_times(plan_store: PlanStore, clock: Clock) -> None:
    """The wait doubles; the third failure is final."""
    accept(plan_store, cs_job("a", families=("LightGBM",)))
    waits = []
    for _ in range(2):
        word = plan_store.failed(one(plan_store), RETRYABLE)
        assert word.retry
        assert word.retry_at is not None
        waits.append((word.retry_at - clock.now).total_seconds())
        assert plan_store.claim("w", stage="cpu") == ()
        clock.move(waits[-1])
    assert waits == [5.0, 10.0]
    last = plan_store.failed(one(plan_store), RETRYABLE)
    assert (last.retry, last.retry_at) == (False, None)
    fit = plan_store.reading.fits()[0]
    assert (fit.state, fit.failures, fit.attempt, fit.sentence) == ("failed", 3, 3, "it fell over")


def test_a_failure_that_is_not_retryable_is_final_at_once(plan_store: PlanStore) -> None:
    """Bad input stays bad."""
    accept(plan_store, cs_job("a"))
    word = plan_store.failed(one(plan_store), Failure(cause="bad_input", sentence="constant label"))
    assert not word.retry
    assert plan_store.reading.fits()[0].state == "failed"


def test_a_released_fit_is_ready_at_once_and_nothing_counts_against_it(plan_store: PlanStore) -> None:
    """A clean stop costs no attempt budget and keeps the checkpoint."""
    accept(plan_store, cs_job("a"))
    claim = one(plan_store)
    plan_store.checkpointed(claim, checkpoint(4))
    plan_store.released(claim, FitReleased(cause="daemon stops", step=4))
    again = one(plan_store)
    fit = plan_store.reading.fit(again.fit_id)
    assert (again.attempt, fit.failures, fit.expiries) == (2, 0, 0)
    assert again.checkpoint is not None
    assert again.checkpoint.attempt == 1


def test_a_word_retried_with_its_event_id_is_recorded_once(plan_store: PlanStore) -> None:
    """After a lost answer the same call with the same id returns the same, even when the fit is final."""
    accept(plan_store, cs_job("a"), cs_job("b"))
    claim, other = plan_store.claim("w", stage="cpu", limit=2)
    event_id = new_event_id()
    seq = plan_store.succeeded(claim, SUCCEEDED, event_id=event_id)
    assert plan_store.succeeded(claim, SUCCEEDED, event_id=event_id) == seq
    event_id = new_event_id()
    word = plan_store.failed(other, RETRYABLE, event_id=event_id)
    assert plan_store.failed(other, RETRYABLE, event_id=event_id) == word
    assert [fit.failures for fit in plan_store.reading.fits(job="cs_b", family="LightGBM")] == [1]


def test_cancel_and_retry_mind_the_state(plan_store: PlanStore) -> None:
    """A final fit cannot be cancelled, an open one cannot be retried, an unknown one is not found."""
    accept(plan_store, cs_job("a", families=("LightGBM",)))
    fit_id = plan_store.reading.fits()[0].id
    with pytest.raises(WrongState, match="ready"):
        plan_store.retry(fit_id)
    plan_store.cancel(fit_id, reason="no")
    with pytest.raises(WrongState, match="cancelled"):
        plan_store.cancel(fit_id)
    plan_store.retry(fit_id)
    assert one(plan_store).fit_id == fit_id
    with pytest.raises(NotFound):
        plan_store.cancel("f_nothing")


def test_attempts_are_told_from_the_events(plan_store: PlanStore, clock: Clock) -> None:
    """Each try has its worker, its end and its cause."""
    accept(plan_store, cs_job("a"))
    first = one(plan_store)
    plan_store.started(first, STARTED)
    plan_store.failed(first, RETRYABLE)
    clock.move(5)
    one(plan_store)
    told = plan_store.reading.attempts(first.fit_id)
    assert [(row.attempt, row.fence, row.outcome, row.cause) for row in told] == [
        (1, 1, "FitFailed", "library"),
        (2, 4, None, None),
    ]
    assert (told[0].pid, told[0].log) == (42, "fit.log")


def nobody(_worker: str) -> bool:
    """Whether a worker is dead: none is."""
    return False


def test_why_a_fit_waits_is_answered_from_the_store(plan_store: PlanStore, clock: Clock) -> None:
    """The context counts the CPU fits of the barrier, the fits ahead, and the daemons at work."""
    accept(plan_store, cs_job("a"), cs_job("b"), cs_job("c", priority=1))
    reading = plan_store.reading
    cpu, gpu = reading.fit("cs_c/LightGBM"), reading.fit("cs_a/LSTM")
    context = reading.waiting_context(cpu, is_dead=nobody)
    assert (context.daemons, context.ahead) == (0, 2)
    plan_store.daemon_started(DaemonStarted(worker="w", host="h", version="0", boot_id="b"))
    claim = one(plan_store)
    context = reading.waiting_context(gpu, is_dead=nobody)
    assert (context.daemons, context.cpu_open, context.ahead) == (1, 3, 0)
    reason = waiting_reason(gpu, context)
    assert reason is not None
    assert reason.code == "WaitingForCpuStage"
    plan_store.succeeded(claim, SUCCEEDED)
    assert reading.waiting_context(gpu, is_dead=nobody).cpu_open == 2
    assert reading.waiting_context(cpu, is_dead=nobody).ahead == 1
    assert reading.waiting_context(cpu, is_dead=lambda worker: worker == "w").daemons == 0


def test_the_job_barrier_counts_only_its_job(plan_store: PlanStore) -> None:
    """With stage_barrier = job, only the job's own CPU fits are waited for."""
    accept(plan_store, cs_job("a"), cs_job("b"), barrier="job")
    fit = plan_store.reading.fit("cs_a/LSTM")
    assert plan_store.reading.waiting_context(fit, is_dead=nobody).cpu_open == 1


def claim_until_empty(url: str, worker: str, results: multiprocessing.Queue[list[tuple[str, int]]]) -> None:
    """Claim and finish fits one by one until none is left."""
    claimed: list[tuple[str, int]] = []
    with open_store(url, migrate=False) as plan_store:
        while claims := plan_store.claim(worker, stage="cpu"):
            claimed.append((claims[0].fit_id, claims[0].fence))
            plan_store.succeeded(claims[0], SUCCEEDED)
    results.put(claimed)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_four_processes_claim_every_fit_once(plan_store: PlanStore, database_url: str) -> None:
    """Four processes claiming at the same time share 200 fits without a duplicate and without a loss."""
    accept(plan_store, *(cs_job(f"y{number}", families=("LightGBM",)) for number in range(200)))
    spawn = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[tuple[str, int]]] = spawn.Queue()
    children = [
        spawn.Process(target=claim_until_empty, args=(database_url, f"w{number}", results))
        for number in range(4)
    ]
    for child in children:
        child.start()
    claimed = [pair for _ in children for pair in results.get(timeout=60)]
    for child in children:
        child.join(timeout=30)
    assert sorted(fit_id for fit_id, _ in claimed) == sorted(fit.id for fit in plan_store.reading.fits())
    assert {fence for _, fence in claimed} == {1}
    assert plan_store.verify().ok
