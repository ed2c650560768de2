"""``retry`` and ``cancel``: which fits are meant, and what is recorded."""

from __future__ import annotations

import pytest
from cli_samples import BROKEN, STOPPED, TRAINED, Call

from store import PlanStore


def test_a_failed_fit_becomes_ready_again(call: Call, filled: PlanStore) -> None:
    """By its name, and the log says who asked."""
    done = call("retry", BROKEN)
    assert done.code == 0
    assert f"{BROKEN}  ready again" in done.out
    assert filled.reading.fit(BROKEN).state == "ready"
    (event,) = filled.events(kinds=("FitRetried",))
    assert event.actor
    assert event.data["reason"] == "asked for on the command line"


def test_all_failed_fits_become_ready_again(call: Call, filled: PlanStore) -> None:
    """``--failed`` means every failed fit and leaves the trained ones alone."""
    assert "ready again" in call("retry", "--failed").out
    assert filled.reading.fits(states=("failed",)) == ()
    assert filled.reading.fit(TRAINED).state == "succeeded"


@pytest.mark.parametrize("words", [("retry", "--failed"), ("cancel", STOPPED)])
def test_a_dry_run_changes_nothing(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """It names the fits and appends no event."""
    head = filled.head_seq()
    assert "would be" in call(*words, "--dry-run").out
    assert filled.head_seq() == head


def test_an_open_fit_is_cancelled(call: Call, filled: PlanStore) -> None:
    """By its name; what has ended stays as it is."""
    assert f"{STOPPED}  cancelled" in call("cancel", STOPPED).out
    assert filled.reading.fit(STOPPED).state == "cancelled"
    assert "no fit matches" in call("cancel", TRAINED).out


def test_a_whole_plan_is_cancelled(call: Call, filled: PlanStore) -> None:
    """All fits that have not ended; the plan is then completed."""
    (plan,) = filled.reading.plans()
    call("cancel", "--plan", plan.id)
    (after,) = filled.reading.plans()
    assert (after.open, after.state) == (0, "completed")


@pytest.mark.parametrize("words", [("retry",), ("cancel",)])
def test_without_a_name_nothing_is_guessed(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """A usage error, exit 2."""
    assert call(*words).code == 2


@pytest.mark.parametrize("words", [("retry", "cs_y_rnge_5d/XGBoost"), ("cancel", "--plan", "p_nothing")])
def test_a_name_that_is_not_there_is_not_found(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """Exit 4."""
    assert call(*words).code == 4
