"""The end of the log and the names of fits, on every engine."""

from __future__ import annotations

import pytest
from store_samples import STARTED, cs_job, plan_of

from store import PlanStore


@pytest.fixture
def filled(plan_store: PlanStore) -> PlanStore:
    """A plan of which one fit runs."""
    plan_store.accept(plan_of(cs_job("y1"), cs_job("y2")), source="test", name="one")
    plan_store.started(plan_store.claim("w", stage="cpu")[0], STARTED)
    return plan_store


def test_the_newest_events_come_in_the_order_of_the_log(filled: PlanStore) -> None:
    """Asked for the last ones of some kinds a reader gets just those, oldest first, within its bounds."""
    reader = filled.reading
    started = reader.events(kinds=["FitStarted", "FitClaimed"])
    assert len(started) >= 2
    kinds = ("FitStarted", "FitClaimed")
    assert reader.newest_events(kinds, limit=100) == started
    assert reader.newest_events(kinds, limit=1) == started[-1:]
    assert reader.newest_events(kinds, until=started[0].seq, limit=100) == started[:1]
    assert reader.newest_events(kinds, after=started[0].seq, limit=100) == started[1:]
    assert reader.newest_events(kinds, plan=started[0].plan, limit=100) == started
    assert reader.newest_events(kinds, plan="p_nobody", limit=100) == ()


def test_fits_are_named_in_one_question(filled: PlanStore) -> None:
    """Ids become names with their stage; an id that nobody knows is left out, no id asks nothing."""
    fit = filled.reading.fit("cs_y1/LightGBM")
    found = filled.reading.fit_names([fit.id, "f_nobody"])
    assert {fit_id: (name.name, name.stage) for fit_id, name in found.items()} == {fit.id: (fit.name, "cpu")}
    assert filled.reading.fit_names([]) == {}


def test_no_kind_and_no_family_is_nothing(filled: PlanStore) -> None:
    """An empty choice is answered with nothing, and is no fault of the question."""
    assert filled.reading.newest_events((), limit=3) == ()
    assert filled.reading.past_costs(()) == {}
