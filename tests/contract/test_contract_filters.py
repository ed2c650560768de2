"""Filtered fits by the page: the same answer of every engine."""

from __future__ import annotations

import pytest
from store_samples import STARTED, SUCCEEDED, blended_jobs, cs_job, plan_of

from store import PlanStore
from store.filters import URGENCY, FitFilter, Order
from store.planning_events import LeakFound
from store.records import Failure


@pytest.fixture
def filled(plan_store: PlanStore) -> PlanStore:
    """Two plans; of the first one fit has succeeded, one failed, one runs, one is held."""
    plan = plan_of(cs_job("y_a"), cs_job("y_B", families=("LightGBM", "XGBoost", "NGBoost")), cs_job("x%y"))
    plan_store.accept(plan, source="s", name="one")
    first, second, third = plan_store.claim("w", stage="cpu", limit=3)
    plan_store.succeeded(first, SUCCEEDED)
    plan_store.failed(second, Failure(cause="crash", sentence="Out of Luck", retryable=False))
    plan_store.started(third, STARTED)
    plan_store.hold(plan.fits[1].id, reason="look first")
    plan_store.accept(plan_of(*blended_jobs("LightGBM", "LSTM")), source="s", name="two")
    return plan_store


def names(store: PlanStore, where: FitFilter) -> list[str]:
    return [fit.name for fit in store.reading.fits_where(where)]


def test_each_field_narrows(filled: PlanStore) -> None:
    """By plan, state, stage, family, target, symbol, job, route, hold and words."""
    one, two = filled.reading.plans()
    assert names(filled, FitFilter(plan=one.id, states=("succeeded",))) == ["cs_y_a/LightGBM"]
    assert names(filled, FitFilter(stages=("gpu",), plan=one.id)) == ["cs_y_a/LSTM", "cs_x%y/LSTM"]
    assert names(filled, FitFilter(families=("xgboost", "NGB*"))) == ["cs_y_B/XGBoost", "cs_y_B/NGBoost"]
    assert names(filled, FitFilter(targets=("Y_b",), states=("failed",))) == ["cs_y_B/LightGBM"]
    assert len(names(filled, FitFilter(symbols=("aa*",)))) == len(
        names(filled, FitFilter(routes=("ROUTE_BOTH",)))
    )
    assert names(filled, FitFilter(jobs=("sym_*",), families=("Blend",))) == ["sym_y_AAPL/Blend"]
    assert names(filled, FitFilter(held=True)) == ["cs_y_a/LSTM"]
    assert "cs_y_a/LSTM" not in names(filled, FitFilter(plan=one.id, held=False))
    assert names(filled, FitFilter(text=("LUCK", "y_b"))) == ["cs_y_B/LightGBM"]
    assert names(filled, FitFilter(text=("look*first",))) == ["cs_y_a/LSTM"]
    assert len(names(filled, FitFilter(plan=two.id))) == two.fits
    assert names(filled, FitFilter(plan="p_none")) == []


def test_signs_of_patterns_stand_for_themselves(filled: PlanStore) -> None:
    """A percent sign or a low line of a name is no pattern; only the star is."""
    assert {fit.target for fit in filled.reading.fits_where(FitFilter(targets=("x%y",)))} == {"x%y"}
    assert names(filled, FitFilter(targets=("y%",))) == []
    assert names(filled, FitFilter(targets=("yxa",))) == []
    assert {fit.target for fit in filled.reading.fits_where(FitFilter(targets=("*Y*",)))} == {
        "x%y", "y_a", "y_B", "y",
    }  # fmt: skip


@pytest.mark.parametrize("order", ["plan", "urgency", "newest"])
def test_pages_follow_each_other_without_gap_or_repeat(filled: PlanStore, order: Order) -> None:
    """Page by page all fits come once; each page tells the total and the counts by state."""
    whole = filled.reading.fit_page(FitFilter(), order=order, limit=1000)
    assert whole.total == len(whole.rows) == sum(whole.counts.values())
    assert whole.counts == filled.reading.fit_tally(FitFilter())
    assert sorted(fit.id for fit in whole.rows) == sorted(filled.reading.fit_ids(FitFilter()))
    paged = [
        fit
        for offset in range(0, whole.total + 2, 3)
        for fit in filled.reading.fit_page(FitFilter(), order=order, offset=offset, limit=3).rows
    ]
    assert paged == list(whole.rows)
    assert filled.reading.fit_page(FitFilter(), order=order, offset=999).rows == ()


def test_the_urgent_come_first_and_the_newest_first(filled: PlanStore) -> None:
    """Running, failed, waiting, done; or what changed last before what did not, the newest plan first."""
    rows = filled.reading.fit_page(FitFilter(), order="urgency").rows
    place = {state: number for number, group in enumerate(URGENCY) for state in group}
    assert [place[fit.state] for fit in rows] == sorted(place[fit.state] for fit in rows)
    newest = filled.reading.fit_page(FitFilter(), order="newest").rows
    assert {fit.state for fit in newest[:4]} == {"running", "failed", "succeeded", "unavailable"}
    assert newest[4].plan_id == filled.reading.plans()[-1].id


def test_jobs_and_decisions_come_page_by_page(filled: PlanStore) -> None:
    """The same as all at once, in the same order."""
    plan = filled.reading.plans()[0]
    whole = filled.reading.jobs(plan.id)
    assert len(whole) == plan.jobs == 3
    pages = [filled.reading.jobs(plan.id, offset=offset, limit=2) for offset in (0, 2, 4)]
    assert tuple(job for page in pages for job in page) == whole
    events = [
        LeakFound(target="y_a", feature=f"f{number}", verdict="SAFE", probe="p", evidence="e")
        for number in range(5)
    ]
    filled.record("n_1", events)
    decided = filled.reading.decisions("y_a")
    assert len(decided) == 5
    first = filled.reading.decisions("y_a", limit=2)
    assert (*first, *filled.reading.decisions("y_a", after=first[-1].seq, limit=9)) == decided
