"""The worlds that are searched: short ones for every run of the tests, long ones for the torture."""

from __future__ import annotations

from dataclasses import replace

from protocol_nodes import WORDS, Config
from store_samples import cs_job, plan_of

from store import Plan
from store.awaited import Awaited


def two_stages() -> Plan:
    """One CPU fit and one GPU fit of a plan: the stage barrier is between them."""
    return plan_of(cs_job("a", families=("LightGBM", "LSTM")))


def two_cpu_fits() -> Plan:
    """Two CPU fits that do not depend on each other."""
    return plan_of(cs_job("a", families=("LightGBM", "XGBoost")))


def one_after_the_other() -> Plan:
    """Two CPU fits; the second needs the success of the first."""
    plan = two_cpu_fits()
    job = plan.jobs[0]
    first, second = job.fits
    return replace(plan, jobs=(replace(job, fits=(first, replace(second, depends_on=(first.id,)))),))


def an_ensemble() -> Plan:
    """Two CPU fits, and a third that is made from those of them that succeed, one at least."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost", "Ensemble")))
    job = plan.jobs[0]
    first, second, third = job.fits
    third = replace(third, awaits=(Awaited(fits=(first.id, second.id), at_least=1),))
    return replace(plan, jobs=(replace(job, fits=(first, second, third)),))


def one_more_cpu_fit() -> Plan:
    """Another plan of two CPU fits, of which the second is more urgent."""
    return plan_of(
        cs_job("b", families=("LightGBM",)), cs_job("c", families=("XGBoost",), priority=3), seed=2
    )


_SHORT = {"late": ("succeeded",), "lost": ("checkpointed", "succeeded", "failed")}
_LONG = {"late": WORDS, "lost": WORDS}
SHORT = (
    Config(name="two stages", plan=two_stages(), ticks=2, faults=1, **_SHORT),
    Config(name="people", plan=one_after_the_other(), people=True, ticks=1, faults=0, **_SHORT),
    Config(
        name="made from others",
        plan=an_ensemble(),
        workers=("u",),
        limit=1,
        ticks=0,
        faults=2,
        late=(),
        lost=(),
    ),
    Config(
        name="two plans",
        plan=two_cpu_fits(),
        beside=one_more_cpu_fit(),
        workers=("u",),
        limit=2,
        ticks=0,
        faults=0,
        late=(),
        lost=(),
    ),
)
LONG = (
    Config(name="two stages, all words", plan=two_stages(), ticks=2, faults=1, **_LONG),
    Config(name="two stages, two faults", plan=two_stages(), ticks=2, faults=2, **_SHORT),
    Config(name="two CPU fits, one at a time", plan=two_cpu_fits(), limit=1, ticks=1, faults=1, **_SHORT),
    Config(name="people and a fault", plan=one_after_the_other(), people=True, ticks=2, faults=1, **_SHORT),
    Config(name="three workers", plan=two_stages(), workers=("u", "v", "w"), ticks=2, faults=0, **_SHORT),
)
