"""The plans, rooms, scopes and failures that the machine of the store draws from."""

from __future__ import annotations

from dataclasses import replace

from store_samples import blended_jobs, cs_job, plan_of

from store import Failure, Plan, RetryPolicy, Room
from store.awaited import Awaited
from store.ordering import ClaimOrder

LEASE_SECONDS = 60.0
POLICY = RetryPolicy(attempts_max=3, expiries_max=4)
CAUSES = ("library", "out_of_memory", "disk_full", "lost_worker", "bad_input")
WORDS = ("started", "checkpointed", "succeeded", "failed", "released")
GIB = 1 << 30
DECISIONS = ("cancel", "retry", "retry", "hold", "lift_hold", "lift_hold")
ROOMS = (
    None,
    None,
    Room(cores=1, gpus=1),
    Room(cores=3, gpus=1, memory_bytes=3 * GIB),
    Room(cores=2, gpus=1, memory_bytes=GIB, whole=Room(cores=2, gpus=1, memory_bytes=3 * GIB)),
)
ORDERS = (
    ClaimOrder(priority_step_seconds=60, share_step_seconds=25),
    ClaimOrder(priority_step_seconds=10, share_step_seconds=100),
    ClaimOrder(priority_step_seconds=0, share_step_seconds=0),
)
APART_SECONDS = (0, 30, 70)  # between the plans
HOST_WORDS = ("drain", "return", "return", "remove", "start")
HOSTS = ("u", "v")
LABELS = ((), ("gpu",), ("bigmem", "gpu"))
SCOPES = ((None, None, None), (None, "cpu", None), (None, "gpu", None), (None, None, "h1"), (1, None, None))


def plans(barrier: str) -> tuple[Plan, Plan]:
    """Two plans of nine fits, with needs, priorities, dependencies, an ensemble and a blend."""
    big = plan_of(
        cs_job("a", families=("LightGBM", "XGBoost", "Ensemble", "LSTM")),
        cs_job("b", families=("LightGBM", "LSTM"), priority=3),
        barrier=barrier,
    )
    first, second, stacked, third, fourth, fifth = big.fits
    second = replace(second, depends_on=(first.id,), cores=2)
    fourth = replace(fourth, memory_bytes=2 * GIB)
    stacked = replace(stacked, awaits=(Awaited(fits=(second.id, fourth.id), at_least=1),))
    fifth = replace(fifth, depends_on=(third.id,), memory_bytes=2 * GIB)
    jobs = (
        replace(big.jobs[0], fits=(first, second, stacked, third)),
        replace(big.jobs[1], fits=(fourth, fifth)),
    )
    blended = plan_of(*blended_jobs("LightGBM"), seed=2, barrier=barrier)
    small = (
        replace(job, fits=tuple(replace(fit, memory_bytes=GIB // 2) for fit in job.fits))
        for job in blended.jobs
    )
    return replace(big, jobs=jobs), replace(blended, jobs=tuple(small))


def labelled(barrier: str) -> tuple[Plan, Plan]:
    """The same, where every other fit needs a host with a label."""
    first, second = plans(barrier)
    jobs = (
        replace(
            job,
            fits=tuple(
                replace(fit, labels=("bigmem",) if fit.ordinal % 2 else ("gpu",) if fit.ordinal % 4 else ())
                for fit in job.fits
            ),
        )
        for job in first.jobs
    )
    return replace(first, jobs=tuple(jobs)), second


def failure_of(cause: str) -> Failure:
    """A failure of a cause; only an error of a library is worth another try by its own word."""
    return Failure(cause=cause, sentence="no", retryable=cause in ("library", "out_of_memory"))
