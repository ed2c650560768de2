"""What a host says in one turn: words of several fits and leases that are kept, each answered by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of

from store import Claim, Failure, LeaseLost, PlanStore, new_event_id
from store.events import FitFailed
from store.words import Word


@pytest.fixture
def claims(plan_store: PlanStore) -> tuple[Claim, ...]:
    """Three fits at work, leased to one worker."""
    jobs = [cs_job(name, families=("LightGBM",)) for name in ("a", "b", "c")]
    plan_store.accept(plan_of(*jobs), source="s", name="n")
    return plan_store.claim("w", stage="cpu", limit=3)


def kinds(plan_store: PlanStore, claim: Claim) -> list[str]:
    """What the log says of a fit, in its order."""
    return [event.kind for event in plan_store.events(fit=claim.fit_id)]


def test_words_of_several_fits_are_recorded_together(
    plan_store: PlanStore, claims: tuple[Claim, ...]
) -> None:
    """Several of one fit keep their order; each is answered with its place in the log."""
    first, second, _ = claims
    said = [
        Word(first, STARTED, new_event_id()),
        Word(second, STARTED, new_event_id()),
        Word(first, checkpoint(3), new_event_id()),
        Word(first, SUCCEEDED, new_event_id()),
    ]
    answers = plan_store.say_each(said).words
    assert kinds(plan_store, first) == ["FitClaimed", "FitStarted", "CheckpointSaved", "FitSucceeded"]
    assert kinds(plan_store, second) == ["FitClaimed", "FitStarted"]
    by_id = {event.seq: event.kind for event in plan_store.events()}
    assert [by_id[seq] for seq in answers if isinstance(seq, int)] == [word.kind for word in said]
    assert plan_store.verify().ok


def test_words_said_again_are_recorded_once(plan_store: PlanStore, claims: tuple[Claim, ...]) -> None:
    """After a lost answer those that the log has are answered as before, and new ones are added."""
    first, second, _ = claims
    said = [Word(first, STARTED, new_event_id()), Word(second, STARTED, new_event_id())]
    before = plan_store.say_each(said).words
    again = plan_store.say_each([*said, Word(first, SUCCEEDED, new_event_id())]).words
    assert again[:2] == before
    assert kinds(plan_store, first) == ["FitClaimed", "FitStarted", "FitSucceeded"]


def test_one_that_lost_its_lease_costs_the_others_nothing(
    plan_store: PlanStore, claims: tuple[Claim, ...]
) -> None:
    """Its word and its lease are refused; those of the others are taken."""
    first, second, third = claims
    (event,) = plan_store.say_each(
        [Word(first, Failure(cause="library", sentence="no"), new_event_id())]
    ).words
    assert isinstance(event, FitFailed)
    answers = plan_store.say_each(
        [Word(first, STARTED, new_event_id()), Word(second, STARTED, new_event_id())],
        renewing=[first, third],
    )
    assert isinstance(answers.words[0], LeaseLost)
    assert isinstance(answers.words[1], int)
    assert isinstance(answers.renewed[0], LeaseLost)
    assert isinstance(answers.renewed[1], datetime)
    assert kinds(plan_store, first) == ["FitClaimed", "FitFailed"]


def test_leases_that_are_kept_do_not_run_out(
    plan_store: PlanStore, claims: tuple[Claim, ...], clock: Clock
) -> None:
    """Those that were renewed together are held on; the one that was not is taken back."""
    clock.now += timedelta(seconds=40)
    plan_store.say_each([], renewing=claims[:2])
    clock.now += timedelta(seconds=40)
    assert [one.fit_id for one in plan_store.rescue()] == [claims[2].fit_id]
