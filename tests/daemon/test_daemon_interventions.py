"""Which fits a word of a person is for, why or why not, and doing it to all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import STARTED, SUCCEEDED, checkpoint, cs_job, plan_of

from daemon.interventions import WORDS, Choice, carry_out, chosen
from store import PlanStore, open_store
from store.errors import NotFound
from store.filters import FitFilter
from store.interventions import Word
from store.records import Failure


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PlanStore]:
    """A plan with a fit that has succeeded, one that failed, one that runs, one not available, one held."""
    with open_store(f"sqlite:///{tmp_path / 'log.db'}") as opened:
        plan = plan_of(
            cs_job("a", families=("LightGBM", "XGBoost", "NGBoost", "LSTM")), cs_job("b"), cs_job("c")
        )
        opened.accept(plan, source="s", name="n")
        first, second, third = opened.claim("w", stage="cpu", limit=3)
        opened.succeeded(first, SUCCEEDED)
        opened.checkpointed(second, checkpoint(40))
        opened.failed(second, Failure(cause="crash", sentence="out of luck", retryable=False))
        opened.started(third, STARTED)
        opened.hold(plan.jobs[2].fits[1].id, reason="look first")
        yield opened


def told(choices: tuple[Choice, ...]) -> dict[str, tuple[bool, str]]:
    return {one.fit.name: (one.applies, one.because) for one in choices}


def test_every_fit_says_why_or_why_not(store: PlanStore) -> None:
    """For each word and each state a reason that a person understands."""
    plan = store.reading.plans()[0].id
    cancel, retry, hold, release = (told(chosen(store.reading, word, plan=plan)) for word in WORDS)
    assert cancel["cs_a/LightGBM"] == (False, "it has succeeded")
    assert cancel["cs_b/LightGBM"] == (True, "it is running: its process is ended")
    assert cancel["cs_c/LightGBM"][0]
    assert retry["cs_a/XGBoost"] == (True, "it failed: out of luck; it goes on from step 40")
    assert retry["cs_a/NGBoost"][1].startswith("it is not available: ")
    assert retry["cs_b/LightGBM"] == (False, "it is running already")
    assert retry["cs_c/LightGBM"] == (False, "it waits already")
    assert hold["cs_c/LSTM"] == (False, "it is held already: look first")
    assert hold["cs_b/LightGBM"][0]
    assert not hold["cs_a/XGBoost"][0]
    assert release["cs_c/LSTM"] == (True, "it is held: look first")
    assert release["cs_a/LightGBM"] == (False, "it is not held")


def test_names_jobs_plans_and_filters_are_meant(store: PlanStore) -> None:
    """An id, JOB/Family, a job, a plan, a filter; each fit once, and nothing of another plan."""
    reader = store.reading
    old = reader.plans()[0].id
    store.accept(plan_of(cs_job("a"), seed=2), source="s", name="again")
    new = reader.plans()[-1].id
    fit = reader.fits(plan=old, job="cs_b")[0]
    several = chosen(reader, "hold", names=("cs_b/LightGBM", fit.id, "cs_b"))
    assert [one.fit.name for one in several] == ["cs_b/LightGBM", "cs_b/LSTM"]
    assert {one.fit.plan_id for one in chosen(reader, "hold", names=("cs_a",))} == {new}
    assert {one.fit.plan_id for one in chosen(reader, "hold", names=("cs_a", "cs_a/LSTM"), plan=old)} == {old}
    where = FitFilter(families=("LSTM",), plan=old)
    assert len(chosen(reader, "hold", names=("cs_b",), where=where)) == 4
    assert len(chosen(reader, "hold", plan=new)) == 2


def test_what_nobody_knows_is_named_with_the_nearest(store: PlanStore) -> None:
    """A fit, a job, a plan, a fit of another plan; and nothing at all is no wish."""
    reader = store.reading
    with pytest.raises(NotFound) as refused:
        chosen(reader, "cancel", names=("cs_b/LightGBN",))
    assert refused.value.nearest == "cs_b/LightGBM"
    with pytest.raises(NotFound):
        chosen(reader, "cancel", names=("cs_a",), plan="p_none")
    store.accept(plan_of(cs_job("z"), seed=2), source="s", name="again")
    with pytest.raises(NotFound):
        chosen(reader, "cancel", names=("cs_z/LSTM",), plan=reader.plans()[0].id)
    with pytest.raises(ValueError, match="name fits"):
        chosen(reader, "cancel")


def test_it_is_done_to_all_it_applies_to(store: PlanStore) -> None:
    """The rest is passed over with its reason; the events have reason and actor."""
    choices = chosen(store.reading, "cancel", where=FitFilter())
    carried = carry_out(store, "cancel", choices, reason="enough", actor="me")
    assert {fit.id for fit in carried.done} == {one.fit.id for one in choices if one.applies}
    assert {one.fit.id for one in carried.passed} == {one.fit.id for one in choices if not one.applies}
    assert all(one.because for one in carried.passed)
    events = store.events(kinds=("FitCancelled",))
    assert {(event.actor, event.data["reason"]) for event in events} == {("me", "enough")}
    assert len(events) == len(carried.done)


def test_one_that_changed_meanwhile_is_passed_over(store: PlanStore) -> None:
    """Between choosing and doing others may act."""
    choices = chosen(store.reading, "cancel", names=("cs_c",))
    store.cancel(choices[0].fit.id)
    carried = carry_out(store, "cancel", choices, reason="", actor="me")
    assert [fit.name for fit in carried.done] == ["cs_c/LSTM"]
    assert [one.because for one in carried.passed] == ["it changed meanwhile: it is cancelled"]


@pytest.mark.parametrize("word", ["cancel", "hold"])
def test_under_one_key_it_is_done_once(store: PlanStore, word: Word) -> None:
    """Asked again it answers the same, and undone by somebody it stays undone; another key does it again."""
    first = carry_out(
        store, word, chosen(store.reading, word, names=("cs_c/LightGBM",)), reason="", actor="me", key="k"
    )
    undone: dict[Word, Word] = {"cancel": "retry", "hold": "release"}
    for again in (word, undone[word]):
        choices = chosen(store.reading, again, names=("cs_c/LightGBM",))
        repeated = carry_out(store, again, choices, reason="", actor="me", key="k")
        assert [fit.id for fit in repeated.done] == [fit.id for fit in first.done]
    choices = chosen(store.reading, word, names=("cs_c/LightGBM",))
    head = store.head_seq()
    assert carry_out(store, word, choices, reason="", actor="me", key="k").done
    assert store.head_seq() == head
    assert carry_out(store, word, choices, reason="", actor="me", key="other").done
    assert store.head_seq() == head + 1
