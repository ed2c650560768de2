"""Names of models: who gave which model a name, in the log, the newest holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import SUCCEEDED, cs_job, plan_of

from store import NotFound, PlanStore
from store.errors import WrongState


@pytest.fixture
def models(plan_store: PlanStore) -> tuple[str, str]:
    """Ids of two fits that have models, and one that waits."""
    families = ("LightGBM", "XGBoost", "LSTM")
    plan_store.accept(plan_of(cs_job("y", families=families)), source="test", name="t")
    first, second = plan_store.claim("w", stage="cpu", limit=2)
    plan_store.succeeded(first, replace(SUCCEEDED, bundle="models/one", sha256="11" * 32))
    plan_store.succeeded(second, replace(SUCCEEDED, bundle="models/two", sha256="22" * 32))
    return first.fit_id, second.fit_id


def test_a_name_holds_for_the_newest_model_it_was_given(
    plan_store: PlanStore, models: tuple[str, str]
) -> None:
    """With who and why; the same again is said once, and a rebuild changes nothing."""
    one, two = models
    assert plan_store.reading.promotions() == {}
    first = plan_store.promote(one, "champion", reason="the best so far", actor="alice")
    assert plan_store.promote(one, "champion", actor="bob") is None
    plan_store.promote(one, "older", actor="bob")
    second = plan_store.promote(two, "champion", actor="bob")
    assert first is not None
    assert second is not None
    assert second > first
    plan_store.rebuild()
    found = plan_store.reading.promotions()
    assert list(found) == ["champion", "older"]
    held = found["champion"]
    assert (held.seq, held.actor, held.data["model"], held.data["bundle"]) == (
        second,
        "bob",
        two,
        "models/two",
    )
    assert found["older"].data["name"] == plan_store.reading.fit(one).name
    assert [event.actor for event in plan_store.events(kinds=["ModelPromoted"])] == ["alice", "bob", "bob"]
    back = plan_store.promote(one, "champion")
    assert plan_store.reading.promotions()["champion"].seq == back


def test_only_what_has_a_model_gets_a_name(plan_store: PlanStore, models: tuple[str, str]) -> None:
    """A fit that waits has none, and one that nobody knows is not found; nothing is recorded."""
    head = plan_store.head_seq()
    (waiting,) = plan_store.reading.fits(states=("ready",))
    with pytest.raises(WrongState):
        plan_store.promote(waiting.id, "champion")
    with pytest.raises(NotFound):
        plan_store.promote("f_0000000000000000", "champion")
    assert plan_store.head_seq() == head
