"""``retry|cancel|hold|release|pause|resume``: what is meant, and what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli_samples import BROKEN, GPU, MISSING, STOPPED, TRAINED, Call, living_daemon, many_fits, start

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


@pytest.mark.parametrize(
    "words", [("retry", "--failed"), ("cancel", STOPPED), ("hold", STOPPED), ("pause", "--all")]
)
def test_a_dry_run_changes_nothing(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """It names the fits and appends no event."""
    head = filled.head_seq()
    assert "would be" in call(*words, "--dry-run").out
    assert filled.head_seq() == head


def test_an_open_fit_is_cancelled(call: Call, filled: PlanStore) -> None:
    """By its name; what has ended stays as it is."""
    assert f"{STOPPED}  cancelled" in call("cancel", STOPPED).out
    assert filled.reading.fit(STOPPED).state == "cancelled"
    told = call("cancel", TRAINED).lines
    assert told == [f"{TRAINED}  left as it is: it has succeeded", "nothing was changed"]


def test_a_whole_plan_is_cancelled(call: Call, filled: PlanStore) -> None:
    """All fits that have not ended; the plan is then completed."""
    (plan,) = filled.reading.plans()
    call("cancel", "--plan", plan.id)
    (after,) = filled.reading.plans()
    assert (after.open, after.state) == (0, "completed")


@pytest.mark.parametrize("words", [("retry",), ("cancel",), ("hold",), ("release",), ("pause",), ("resume",)])
def test_without_a_name_nothing_is_guessed(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """A usage error, exit 2."""
    assert call(*words).code == 2


@pytest.mark.parametrize("words", [("retry", "cs_y_rnge_5d/XGBoost"), ("cancel", "--plan", "p_nothing")])
def test_a_name_that_is_not_there_is_not_found(call: Call, filled: PlanStore, words: tuple[str, ...]) -> None:
    """Exit 4."""
    assert call(*words).code == 4


def test_a_hold_keeps_a_fit_from_being_claimed_until_it_is_released(call: Call, filled: PlanStore) -> None:
    """The hold names who and why; released, the fit is claimed like any other."""
    assert f"{STOPPED}  held" in call("hold", STOPPED, "--reason", "look first").out
    assert filled.claim("w", stage="cpu") == ()
    (event,) = filled.events(kinds=("FitHeld",))
    assert (event.data["reason"], bool(event.actor)) == ("look first", True)
    assert f"held by {event.actor}: look first" in call("why", STOPPED).out
    assert STOPPED in call("jobs", "--state", "held").out
    assert "held     1 fit:" in call("status").out
    assert f"{STOPPED}  released" in call("release", STOPPED).out
    (claim,) = filled.claim("w", stage="cpu")
    assert f"{claim.job_id}/{claim.family}" == STOPPED


@pytest.mark.parametrize(
    "words",
    [
        ("--where", "state:ready family:lstm"),
        ("--state", "ready", "--family", "lstm"),
        ("--where", "state:open", "--stage", "gpu"),
        ("--target", "y_range_*", "--state", "open"),
    ],
)
def test_all_that_a_filter_matches_is_cancelled(
    call: Call, filled: PlanStore, words: tuple[str, ...]
) -> None:
    """Rehearsed with the reason of each fit, then done to the whole match and to nothing else."""
    before = {fit.name: fit.state for fit in filled.reading.fits()}
    told = call("cancel", *words, "--dry-run")
    assert told.lines == [
        f"{GPU}  would be cancelled: it waits: it will not be started",
        "dry run: 1 fit would be cancelled; nothing was changed",
    ]
    document = call("cancel", *words, "--json").document
    assert [one["fit"] for one in document["done"]] == [GPU]
    assert {fit.name: fit.state for fit in filled.reading.fits()} == before | {GPU: "cancelled"}


def test_of_many_fits_each_reason_is_counted(call: Call, log_here: str) -> None:
    """Twenty lines of their own, the rest by their reasons; done it is told how many they were."""
    many_fits(log_here, 30)
    told = call("hold", "--where", "target:y_*", "--dry-run").lines
    assert told[-2:] == [
        "… and 40 more: it waits: it will not be started until it is released",
        "dry run: 60 fits would be held; nothing was changed",
    ]
    assert call("hold", "--where", "target:y_*", "--reason", "later").lines[-2:] == [
        "… and 40 more", "60 fits held",
    ]  # fmt: skip
    again = call("hold", "--state", "held")
    assert again.lines == ["60 fits left as they are: it is held already: later", "nothing was changed"]


@pytest.mark.parametrize(
    ("words", "code", "near"),
    [
        (("--where", "famly:lstm"), 2, "family"),
        (("--state", "faild"), 2, "failed"),
        (("--target", "y_range_5"), 4, "y_range_5d"),
        (("--family", "LigthGBM"), 2, "LightGBM"),
    ],
)
def test_a_filter_that_is_wrong_does_nothing_and_names_the_nearest(
    call: Call, filled: PlanStore, words: tuple[str, ...], code: int, near: str
) -> None:
    """The same words for listing and for changing."""
    head = filled.head_seq()
    for command in ("jobs", "cancel"):
        told = call(command, *words)
        assert told.code == code
        assert f"did you mean {near}?" in told.err
    assert filled.head_seq() == head


def test_a_whole_plan_is_held_and_released(call: Call, filled: PlanStore) -> None:
    """All fits that have not ended; what is held already is left as it is."""
    (plan,) = filled.reading.plans()
    assert call("hold", "--plan", plan.id).out.count("  held") == 2
    again = call("hold", "--plan", plan.id)
    assert again.out.count("it is held already") == 2
    assert again.lines[-1] == "nothing was changed"
    assert call("release", "--plan", plan.id).out.count("  released") == 2


@pytest.mark.parametrize(
    ("words", "scope"),
    [
        (("--all",), "all work is paused by"),
        (("--stage", "cpu"), "all work of the CPU stage is paused by"),
        (("--host", "far"), "all work on host far is paused by"),
    ],
)
def test_a_pause_is_told_and_ended(call: Call, filled: PlanStore, words: tuple[str, ...], scope: str) -> None:
    """Status tells each pause with who and why; resume ends exactly it."""
    assert scope in call("pause", *words, "--reason", "for lunch").out
    assert "already: " in call("pause", *words).out
    told = call("status").out
    assert scope in told
    assert "for lunch" in told
    claims = filled.claim("w", stage="cpu", host="near")
    assert len(claims) == (1 if "far" in words else 0)
    assert "nothing is paused like that" in call("resume", "--plan", "p_other").out
    assert f"ended: {scope}" in call("resume", *words).out
    assert filled.reading.pauses() == ()


def test_a_pause_of_a_host_that_nobody_knows_is_noted(call: Call, filled: PlanStore) -> None:
    """It may come yet, or its name may be misspelt: the nearest is told, and the pause is made."""
    filled.daemon_started(replace(living_daemon(), host="alpha"))
    told = call("pause", "--host", "alfa")
    assert told.code == 0
    assert "no host alfa has worked on this log yet; did you mean alpha?" in told.err
    assert call("pause", "--host", "alpha").err == ""
    assert {pause.host for pause in filled.reading.pauses()} == {"alfa", "alpha"}


def test_resume_all_ends_every_pause(call: Call, filled: PlanStore) -> None:
    """One word ends them all, a plan's too, and each is recorded with its actor."""
    (plan,) = filled.reading.plans()
    call("pause", "--plan", plan.id)
    call("pause", "--stage", "gpu")
    assert {pause.plan for pause in filled.reading.pauses()} == {plan.id, None}
    assert filled.claim("w", stage="cpu") == ()
    call("resume", "--all")
    assert filled.reading.pauses() == ()
    assert all(event.actor for event in filled.events(kinds=("WorkPaused", "WorkResumed")))
    assert call("pause", "--plan", "p_nothing").code == 4


def test_a_missing_library_is_told_by_all(call: Call, filled: PlanStore) -> None:
    """Both ``why`` and ``jobs`` give an unavailable fit the same code, and the library's name."""
    (fit,) = [one for one in filled.reading.fits(states=("unavailable",)) if one.name == MISSING]
    assert fit.sentence
    told = call("why", MISSING).out
    assert f"unavailable, LibraryMissing: {fit.sentence}" in told
    listed = call("jobs", "--json").document["fits"]
    assert [one["waiting"]["code"] for one in listed if one["name"] == MISSING] == ["LibraryMissing"]


def test_a_hold_on_a_running_fit_says_that_it_goes_on(call: Call, filled: PlanStore, folder: Path) -> None:
    """Held is not stopped, and programs are told the reason of what was done as of what would be."""
    start(filled, filled.claim("w", stage="cpu")[0], folder)
    told = call("hold", STOPPED)
    assert told.lines == [f"{STOPPED}  held: it is running and goes on; it is not started another time"]
    (done,) = json.loads(call("release", STOPPED, "--json").out)["done"]
    assert done["because"].startswith("it is held")
