"""``why``: the decisions about a target, the reason of a job, the state of a fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cli_samples import BROKEN, GPU, METRICS, STOPPED, TRAINED, Call
from store_samples import SUCCEEDED, blended_jobs, plan_of

from store import PlanStore


def test_a_target_is_explained_from_leak_to_fit(call: Call, filled: PlanStore) -> None:
    """Leaks, ranking, features, route, job and fits are told in the order of the decisions."""
    done = call("why", "y_range_5d")
    words = [line.split()[0] for line in done.lines]
    assert words == ["target", "leak", "ranked", "features", "route", "job", "fit", "fit", "fit", "fit"]
    assert "14 selected, 3 left out" in done.out
    assert "and 2 more" in done.out
    assert "ROUTE_CROSS_SECTIONAL, strong" in done.out


def test_a_dropped_target_is_explained_without_any_fit(call: Call, filled: PlanStore) -> None:
    """What was never planned has its reason in the log all the same."""
    done = call("why", "y_noise_5d")
    assert done.code == 0
    assert "dropped: q 0.75 above 0.05" in done.out
    assert "ROUTE_BLOCKED, not told apart from luck" in done.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (TRAINED, "succeeded, rank_ic +0.200 ± 0.020 out of sample, naive +0.100"),
        (BROKEN, "failed: the label has one class (rows 0 to 9)"),
        (GPU, "waiting, NoWorker: no daemon is at work"),
        ("cs_y_up_1d", "waiting, NoWorker"),
    ],
)
def test_a_fit_or_a_job_says_how_it_stands(call: Call, filled: PlanStore, name: str, words: str) -> None:
    """One sentence for each state; a place of many lines is told in one."""
    assert f": {words}" in call("why", name).out


def test_a_fit_is_found_by_its_id(call: Call, filled: PlanStore) -> None:
    """The id is a name like any other."""
    fit = filled.reading.fit(STOPPED)
    assert call("why", fit.id, "--json").document["fits"][0]["fit"] == STOPPED


@pytest.mark.parametrize(
    ("name", "near"), [("y_noise_5", "y_noise_5d"), ("cs_y_up_d", "cs_y_up_1d"), ("zzz", None)]
)
def test_an_unknown_name_gets_the_nearest(call: Call, filled: PlanStore, name: str, near: str | None) -> None:
    """Exit code 4; the nearest of targets and jobs is named, and nothing when nothing is near."""
    done = call("why", name)
    assert done.code == 4
    assert (f"did you mean {near}?" in done.err) is (near is not None)


def test_a_fit_that_is_made_from_others_names_them_with_their_states(call: Call, store: PlanStore) -> None:
    """In words and in the document; and the job says which families it goes without."""
    own, common = blended_jobs("LightGBM")
    own["metadata"] |= {"families_left_out": {"MultiTask": "no other target"}}
    store.accept(plan_of(own, common), source="test", name="n")
    for claim in store.claim("w", stage="cpu", limit=1):
        store.succeeded(claim, replace(SUCCEEDED, metrics=METRICS))
    told = call("why", "sym_y_AAPL").out
    assert "         made from cs_y/LightGBM ready, sym_y_AAPL/LightGBM succeeded" in told.splitlines()
    assert "         without MultiTask: no other target" in told.splitlines()
    asked = call("why", "sym_y_AAPL/multitask").out
    assert "         without MultiTask: no other target" in asked.splitlines()
    document = call("why", "sym_y_AAPL", "--json").document
    assert document["fits"][1]["made_from"] == {
        "cs_y/LightGBM": "ready", "sym_y_AAPL/LightGBM": "succeeded"
    }  # fmt: skip
    assert document["jobs"][0]["left_out"] == {"MultiTask": "no other target"}


def test_the_document_holds_decisions_jobs_and_fits(call: Call, filled: PlanStore) -> None:
    """Programs get the events' own payloads."""
    document = call("why", "y_range_5d", "--json").document
    assert [row["kind"] for row in document["decisions"]][:2] == ["LeakFound", "TargetRanked"]
    (job,) = document["jobs"]
    assert (job["job"], job["reason"]) == ("cs_y_range_5d", "CS training enabled")
    assert (job["route"], job["left_out"]) == ("ROUTE_CROSS_SECTIONAL", {})
    assert len(document["fits"]) == 4


def test_the_reasons_of_the_past_are_those_of_then(call: Call, filled: PlanStore) -> None:
    """With a moment the state of a fit is that of the moment, and it is said where in the log that is."""
    at = filled.events(kinds=("FitFailed",))[0].at.isoformat()
    filled.retry(filled.reading.fit(BROKEN).id)
    told = call("why", BROKEN, "--at", at)
    assert "failed: the label has one class" in told.out
    assert "as it was behind event" in told.err
    assert "waiting" in call("why", BROKEN).out
