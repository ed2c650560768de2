"""One word of a person for many fits: the same answer of every engine, once under one set of event ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from store_samples import SUCCEEDED, cs_job, plan_of

from store import PlanStore, intervening, interventions, new_event_id
from store.errors import EventIdReused, LeaseLost, NotFound, WrongState
from store.events import FitSucceeded
from store.interventions import Word

FAMILIES = ("LightGBM", "XGBoost", "LSTM", "Ensemble")


@pytest.fixture
def many(plan_store: PlanStore, monkeypatch: pytest.MonkeyPatch) -> tuple[PlanStore, list[str]]:
    """A plan of twelve fits, the ids of all of them in plan order, and transactions of five."""
    monkeypatch.setattr(intervening, "CHUNK", 5)
    plan = plan_of(*(cs_job(f"y{number}", families=FAMILIES) for number in range(3)))
    plan_store.accept(plan, source="s", name="n")
    return plan_store, [fit.id for fit in plan.fits]


class OnlyOnce:
    """Intervenes in one transaction and is interrupted in the next."""

    def __init__(self) -> None:
        self._does = [interventions.intervene]

    def __call__(self, *asked: Any, **told: Any) -> Any:
        if not self._does:
            raise KeyboardInterrupt
        return self._does.pop()(*asked, **told)


def states(store: PlanStore) -> set[str]:
    return {fit.state for fit in store.reading.fits()}


def seqs(answers: tuple[int | WrongState | NotFound, ...]) -> list[int]:
    """The seqs of answers that are all done."""
    return [one for one in answers if isinstance(one, int)]


@pytest.mark.parametrize(
    ("word", "kind"), [("cancel", "FitCancelled"), ("hold", "FitHeld"), ("retry", "FitRetried")]
)
def test_a_word_for_many_is_one_event_for_each(
    many: tuple[PlanStore, list[str]], word: Word, kind: str
) -> None:
    """Each fit is answered with the seq of its own event, which has the reason and the actor."""
    store, fit_ids = many
    if word == "retry":
        store.intervene("cancel", fit_ids)
    answers = store.intervene(word, fit_ids, reason="because", actor="me")
    events = {event.seq: event for event in store.events(limit=9999) if event.kind == kind}
    assert [events[seq].fit for seq in seqs(answers)] == fit_ids
    own = [events[seq].data["reason"] for seq in seqs(answers)]
    assert "because" in own
    assert {events[seq].actor for seq in seqs(answers)} == {"me"}
    assert store.verify().ok


def test_a_whole_plan_cancelled_ends_it_and_retried_opens_it(many: tuple[PlanStore, list[str]]) -> None:
    """What is made from others is cancelled with them; all come back, and can be claimed."""
    store, fit_ids = many
    (claim,) = store.claim("w", stage="cpu")
    assert len(seqs(store.intervene("cancel", fit_ids[::-1]))) == len(fit_ids)
    assert states(store) == {"cancelled"}
    assert store.reading.plans()[0].state == "completed"
    assert claim.fit_id not in store.reading.fences([claim.fit_id])
    assert len(seqs(store.intervene("retry", fit_ids))) == len(fit_ids)
    assert states(store) == {"ready"}
    assert store.reading.plans()[0].state == "active"
    assert len(store.claim("w", stage="cpu", limit=99)) == 6
    assert store.verify().ok


def test_each_that_cannot_be_done_says_why(many: tuple[PlanStore, list[str]]) -> None:
    """The others are done all the same; a fit named twice is done once."""
    store, fit_ids = many
    (claim,) = store.claim("w", stage="cpu")
    store.succeeded(claim, SUCCEEDED)
    other = next(fit_id for fit_id in fit_ids if fit_id != claim.fit_id)
    answers = store.intervene("hold", [claim.fit_id, other, "f_none", other])
    assert isinstance(answers[0], WrongState)
    assert isinstance(answers[2], NotFound)
    assert answers[1] == answers[3] == store.head_seq()
    assert isinstance(store.intervene("hold", [other])[0], WrongState)
    assert isinstance(store.intervene("retry", [other])[0], WrongState)
    assert store.intervene("release", [other]) == (store.head_seq(),)
    assert isinstance(store.intervene("release", [other])[0], WrongState)
    assert store.intervene("cancel", []) == ()


@pytest.mark.parametrize("word", ["cancel", "retry", "hold", "release"])
def test_the_same_ids_again_record_nothing_twice(
    many: tuple[PlanStore, list[str]], word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off anywhere and said again, also after others changed what it did: one event for each fit."""
    store, fit_ids = many
    before: dict[Word, Word] = {"retry": "cancel", "release": "hold"}
    if word in before:
        store.intervene(before[word], fit_ids)
    ids = [new_event_id() for _ in fit_ids]
    with monkeypatch.context() as patch:
        patch.setattr(interventions, "intervene", OnlyOnce())
        with pytest.raises(KeyboardInterrupt):
            store.intervene(word, fit_ids, event_ids=ids)
    cut_off = store.head_seq()
    whole = store.intervene(word, fit_ids, event_ids=ids)
    assert sum(seq <= cut_off for seq in seqs(whole)) >= 5
    assert len(seqs(whole)) == len(fit_ids)
    head = store.head_seq()
    assert store.intervene(word, fit_ids, event_ids=ids) == whole
    back: dict[Word, Word] = {"cancel": "retry", "retry": "cancel", "hold": "release", "release": "hold"}
    store.intervene(back[word], fit_ids)
    after = store.head_seq()
    assert store.intervene(word, fit_ids, event_ids=ids) == whole
    assert (head < after, store.head_seq()) == (True, after)
    assert store.verify().ok


def test_an_id_of_another_event_is_refused(many: tuple[PlanStore, list[str]]) -> None:
    """An id stands for one word about one fit."""
    store, fit_ids = many
    event_id = new_event_id()
    store.intervene("hold", fit_ids[:1], event_ids=[event_id])
    with pytest.raises(EventIdReused):
        store.intervene("release", fit_ids[:1], event_ids=[event_id])
    with pytest.raises(EventIdReused):
        store.intervene("hold", fit_ids[1:2], event_ids=[event_id])


def test_fits_that_come_back_with_others_are_answered_once(plan_store: PlanStore) -> None:
    """In a chain the first retry brings all: each is answered with its own event, in any order, again too."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost", "LSTM")))
    first, second, third = plan.fits
    fits = (first, replace(second, depends_on=(first.id,)), replace(third, depends_on=(second.id,)))
    plan_store.accept(replace(plan, jobs=(replace(plan.jobs[0], fits=fits),)), source="s", name="n")
    plan_store.cancel(first.id)
    asked = [third.id, first.id, second.id]
    ids = [new_event_id() for _ in asked]
    answers = plan_store.intervene("retry", asked, event_ids=ids)
    retried = {event.seq: event.fit for event in plan_store.events(kinds=("FitRetried",))}
    assert [retried[seq] for seq in seqs(answers)] == asked
    assert len(retried) == 3
    (claim,) = plan_store.claim("w", stage="cpu")
    plan_store.cancel(claim.fit_id)
    assert plan_store.intervene("retry", asked, event_ids=ids) == answers
    assert plan_store.intervene("retry", asked)[1] == plan_store.reading.events(fit=first.id)[-1].seq


def test_a_late_word_of_a_cancelled_fit_is_refused_as_ever(many: tuple[PlanStore, list[str]]) -> None:
    """The lease of a fit cancelled among many ends with it."""
    store, fit_ids = many
    (claim,) = store.claim("w", stage="cpu")
    store.intervene("cancel", fit_ids)
    with pytest.raises(LeaseLost):
        store.succeeded(claim, FitSucceeded(bundle="b", sha256="00" * 32, metrics={}, seconds=1.0))
