"""Fits that are made from others: when they start, from what, when they are given up and come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import SUCCEEDED, blended_jobs, cs_job, plan_of

from store import Claim, Failure, Plan, PlanStore, waiting_reason
from store.awaited import Awaited
from store.errors import NotFound, WrongState
from store.records import Room

FAILURE = Failure(cause="bad_input", sentence="constant label", where="dataset")


def ids(plan: Plan) -> dict[str, str]:
    """The id of each fit by its name, without the job where there is one only."""
    one = len(plan.jobs) == 1
    return {fit.family if one else f"{fit.job_id}/{fit.family}": fit.id for fit in plan.fits}


def states(plan_store: PlanStore) -> dict[str, str]:
    fits = plan_store.reading.fits()
    one = len({fit.job_id for fit in fits}) == 1
    return {fit.family if one else fit.name: fit.state for fit in fits}


def claimed(plan_store: PlanStore, stage: str = "cpu") -> dict[str, Claim]:
    """All fits of a stage that can be claimed now, by family, or by name where families come twice."""
    claims = plan_store.claim("w", stage=stage, limit=20)
    by_family = {claim.family: claim for claim in claims}
    return by_family if len(by_family) == len(claims) else {f"{c.job_id}/{c.family}": c for c in claims}


def made_of_three(plan_store: PlanStore) -> Plan:
    """An accepted plan of an ensemble before its three members, none of which misses its library."""
    plan = plan_of(cs_job("a", families=("Ensemble", "LightGBM", "XGBoost", "NGBoost")))
    third = replace(plan.fits[3], unavailable=None)
    plan = replace(plan, jobs=(replace(plan.jobs[0], fits=(*plan.fits[:3], third)),))
    plan_store.accept(plan, source="s", name="n")
    return plan


@pytest.fixture
def stacked(plan_store: PlanStore) -> dict[str, str]:
    """The ids of the fits of an accepted plan: three members, their ensemble before the last, a network."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost", "Ensemble", "LSTM")))
    plan_store.accept(plan, source="s", name="n")
    return ids(plan)


def test_an_ensemble_starts_when_its_members_have_ended_with_those_that_succeeded(
    plan_store: PlanStore,
) -> None:
    """A member that failed for good is done without; parts come in the plan's order, with their hashes."""
    made_of_three(plan_store)
    members = claimed(plan_store)
    assert set(members) == {"LightGBM", "XGBoost", "NGBoost"}
    plan_store.succeeded(members["NGBoost"], replace(SUCCEEDED, bundle="models/c", sha256="c" * 64))
    plan_store.succeeded(members["LightGBM"], replace(SUCCEEDED, bundle="models/a", sha256="a" * 64))
    assert claimed(plan_store) == {}
    plan_store.failed(members["XGBoost"], FAILURE)
    (ensemble,) = claimed(plan_store).values()
    assert [(part.name, part.family, part.bundle, part.sha256) for part in ensemble.parts] == [
        ("cs_a/LightGBM", "LightGBM", "models/a", "a" * 64),
        ("cs_a/NGBoost", "NGBoost", "models/c", "c" * 64),
    ]
    plan_store.succeeded(ensemble, SUCCEEDED)
    assert plan_store.reading.plans()[0].state == "completed"
    assert plan_store.verify().ok


def test_an_ensemble_says_whom_it_waits_for(plan_store: PlanStore, stacked: dict[str, str]) -> None:
    """By name, and no more once they have ended."""
    plan_store.succeeded(claimed(plan_store)["LightGBM"], SUCCEEDED)
    fit = plan_store.reading.fit(stacked["Ensemble"])
    context = replace(plan_store.reading.waiting_context(fit, is_dead=lambda _: False), daemons=1)
    reason = waiting_reason(fit, context)
    assert reason is not None
    assert (reason.code, reason.words) == (
        "Dependency", "it is made from fits that have not all ended: cs_a/XGBoost"
    )  # fmt: skip


def test_an_ensemble_with_too_few_members_left_is_given_up_and_the_plan_ends(
    plan_store: PlanStore, stacked: dict[str, str]
) -> None:
    """As soon as too few can succeed, with the member that was lost; the network behind it still runs."""
    members = claimed(plan_store)
    plan_store.cancel(stacked["XGBoost"])
    assert states(plan_store)["Ensemble"] == "unavailable"
    row = plan_store.reading.fit(stacked["Ensemble"])
    assert row.cause == "dependency"
    assert row.sentence == (
        "it is made from 2 fits at least, and too few are left without cs_a/XGBoost, which is cancelled"
    )
    plan_store.succeeded(members["LightGBM"], SUCCEEDED)
    plan_store.succeeded(claimed(plan_store, "gpu")["LSTM"], SUCCEEDED)
    assert plan_store.reading.plans()[0].state == "completed"
    assert plan_store.verify().ok


def test_a_retried_member_brings_a_given_up_ensemble_back(
    plan_store: PlanStore, stacked: dict[str, str]
) -> None:
    """It waits for the member again, and is made from both."""
    members = claimed(plan_store)
    plan_store.succeeded(members["LightGBM"], SUCCEEDED)
    plan_store.failed(members["XGBoost"], FAILURE)
    assert states(plan_store)["Ensemble"] == "unavailable"
    plan_store.retry(stacked["XGBoost"])
    assert states(plan_store)["Ensemble"] == "ready"
    plan_store.succeeded(claimed(plan_store)["XGBoost"], SUCCEEDED)
    assert len(claimed(plan_store)["Ensemble"].parts) == 2
    assert plan_store.verify().ok


def test_a_retried_ensemble_with_too_few_members_tries_them_again(
    plan_store: PlanStore,
) -> None:
    """With too few it takes all of them along, that it may be made at all."""
    plan = plan_of(cs_job("a", families=("LightGBM", "XGBoost", "Ensemble")))
    plan_store.accept(plan, source="s", name="n")
    named = ids(plan)
    plan_store.cancel(named["LightGBM"])
    plan_store.cancel(named["XGBoost"])
    assert set(states(plan_store).values()) == {"cancelled", "unavailable"}
    plan_store.retry(named["Ensemble"])
    assert set(states(plan_store).values()) == {"ready"}
    assert plan_store.verify().ok


def test_a_retried_ensemble_with_enough_members_is_made_without_the_lost(plan_store: PlanStore) -> None:
    """Nobody asked for them."""
    plan = made_of_three(plan_store)
    members = claimed(plan_store)
    plan_store.failed(members.pop("NGBoost"), FAILURE)
    for claim in members.values():
        plan_store.succeeded(claim, SUCCEEDED)
    ensemble = ids(plan)["Ensemble"]
    plan_store.cancel(ensemble)
    plan_store.retry(ensemble)
    assert states(plan_store)["NGBoost"] == "failed"
    assert len(claimed(plan_store)["Ensemble"].parts) == 2
    assert plan_store.verify().ok


def test_what_was_made_without_a_member_stays_when_the_member_is_tried_again(
    plan_store: PlanStore,
) -> None:
    """A success is final: whoever wants the new member in it retries it in a new plan."""
    named = ids(made_of_three(plan_store))
    members = claimed(plan_store)
    plan_store.failed(members.pop("NGBoost"), FAILURE)
    for claim in members.values():
        plan_store.succeeded(claim, SUCCEEDED)
    plan_store.succeeded(claimed(plan_store)["Ensemble"], SUCCEEDED)
    plan_store.retry(named["NGBoost"])
    assert states(plan_store)["Ensemble"] == "succeeded"
    with pytest.raises(WrongState):
        plan_store.retry(named["Ensemble"])
    plan_store.succeeded(claimed(plan_store)["NGBoost"], SUCCEEDED)
    assert plan_store.reading.plans()[0].state == "completed"
    assert plan_store.verify().ok


def test_an_ensemble_at_work_goes_on_when_a_member_is_tried_again(plan_store: PlanStore) -> None:
    """Its next attempt, if it needs one, waits for the member."""
    plan = made_of_three(plan_store)
    members = claimed(plan_store)
    plan_store.failed(members.pop("NGBoost"), FAILURE)
    for claim in members.values():
        plan_store.succeeded(claim, SUCCEEDED)
    ensemble = claimed(plan_store)["Ensemble"]
    plan_store.retry(ids(plan)["NGBoost"])
    plan_store.failed(ensemble, Failure(cause="lost_worker", sentence="gone"))
    again = claimed(plan_store)
    assert set(again) == {"NGBoost"}
    plan_store.succeeded(again["NGBoost"], SUCCEEDED)
    assert len(claimed(plan_store)["Ensemble"].parts) == 3
    assert plan_store.verify().ok


def test_a_plan_with_too_few_for_an_ensemble_says_so_and_ends(plan_store: PlanStore) -> None:
    """A retry leads to the same answer, never to a fit that waits for ever."""
    plan = plan_of(cs_job("a", families=("LightGBM", "Ensemble")))
    plan_store.accept(plan, source="s", name="n")
    row = plan_store.reading.fit(ids(plan)["Ensemble"])
    assert (row.state, row.cause) == ("unavailable", "unsuitable")
    assert row.sentence == "it is made from 2 other fits at least, and its plan has 1 for it"
    plan_store.succeeded(claimed(plan_store)["LightGBM"], SUCCEEDED)
    assert plan_store.reading.plans()[0].state == "completed"
    plan_store.retry(row.id)
    assert states(plan_store)["Ensemble"] == "unavailable"
    assert plan_store.reading.plans()[0].state == "completed"
    assert plan_store.verify().ok


def test_a_blend_needs_one_model_of_each_side(plan_store: PlanStore) -> None:
    """It stands in the job before that of its common parts, and goes on with one of each."""
    plan = plan_of(*blended_jobs("LightGBM", "XGBoost"))
    plan_store.accept(plan, source="s", name="n")
    members = claimed(plan_store)
    assert len(members) == 4
    plan_store.failed(members["sym_y_AAPL/LightGBM"], FAILURE)
    plan_store.failed(members["cs_y/XGBoost"], FAILURE)
    assert states(plan_store)["sym_y_AAPL/Blend"] == "ready"
    plan_store.succeeded(members["sym_y_AAPL/XGBoost"], SUCCEEDED)
    plan_store.succeeded(members["cs_y/LightGBM"], SUCCEEDED)
    (blend,) = plan_store.claim("w", stage="cpu", limit=9)
    assert [part.name for part in blend.parts] == ["sym_y_AAPL/XGBoost", "cs_y/LightGBM"]
    assert plan_store.verify().ok


def test_a_blend_that_lost_a_side_is_given_up(plan_store: PlanStore) -> None:
    """However many of the other side there are."""
    plan = plan_of(*blended_jobs("LightGBM", "XGBoost"))
    plan_store.accept(plan, source="s", name="n")
    named = ids(plan)
    plan_store.cancel(named["cs_y/LightGBM"])
    assert states(plan_store)["sym_y_AAPL/Blend"] == "ready"
    plan_store.cancel(named["cs_y/XGBoost"])
    assert states(plan_store)["sym_y_AAPL/Blend"] == "unavailable"
    assert plan_store.verify().ok


def test_a_blend_of_networks_runs_after_them_and_needs_no_device(plan_store: PlanStore) -> None:
    """Of the GPU stage, so that no stage waits for the other in a circle; a place is all it takes."""
    plan = plan_of(*blended_jobs("LightGBM", "LSTM"))
    plan_store.accept(plan, source="s", name="n")
    for stage in ("cpu", "gpu"):
        for claim in claimed(plan_store, stage).values():
            assert claim.family != "Blend"
            plan_store.succeeded(claim, SUCCEEDED)
    (blend,) = plan_store.claim("w", stage="gpu", limit=9, room=Room(cores=1, gpus=0))
    assert (blend.family, blend.cores, blend.gpus, len(blend.parts)) == ("Blend", 1, 0, 4)
    assert plan_store.verify().ok


def test_an_ensemble_that_fails_takes_what_needs_its_success_along(plan_store: PlanStore) -> None:
    """Both kinds of need in one chain: given up together, back together."""
    plan = plan_of(
        cs_job("a", families=("LightGBM", "XGBoost", "Ensemble")), cs_job("b", families=("XGBoost",))
    )
    last = replace(plan.jobs[1].fits[0], depends_on=(plan.fits[2].id,))
    plan = replace(plan, jobs=(plan.jobs[0], replace(plan.jobs[1], fits=(last,))))
    plan_store.accept(plan, source="s", name="n")
    plan_store.cancel(plan.fits[0].id)
    assert list(states(plan_store).values()) == ["cancelled", "ready", "unavailable", "unavailable"]
    plan_store.retry(last.id)
    assert set(states(plan_store).values()) == {"ready"}
    assert plan_store.verify().ok


def test_a_missing_library_of_a_member_gives_up_what_cannot_be_made(plan_store: PlanStore) -> None:
    """From the beginning, with everything that follows from it, and the plan still ends."""
    plan = plan_of(cs_job("a", families=("LightGBM", "NGBoost", "Ensemble")))
    plan_store.accept(plan, source="s", name="n")
    row = plan_store.reading.fit(ids(plan)["Ensemble"])
    assert (row.state, row.cause) == ("unavailable", "dependency")
    assert "cs_a/NGBoost, which is unavailable" in (row.sentence or "")
    assert plan_store.verify().ok


def test_shared_targets_reach_the_claim(plan_store: PlanStore) -> None:
    """Those of the plan that are trained in the same way, in its order."""
    jobs = [cs_job(name, families=("MultiTask",)) for name in ("y", "z", "x")]
    plan_store.accept(plan_of(*jobs), source="s", name="n")
    found = {claim.target: claim.other_targets for claim in plan_store.claim("w", stage="gpu", limit=9)}
    assert found == {"y": ("z", "x"), "z": ("y", "x"), "x": ("y", "z")}


def test_a_plan_comes_back_with_what_its_fits_are_made_from(plan_store: PlanStore) -> None:
    """Groups, followers and shared targets are read from the log as they were accepted."""
    plan = plan_of(*blended_jobs("LightGBM", "XGBoost", "Ensemble"), cs_job("z", families=("MultiTask",)))
    plan_store.accept(plan, source="s", name="n")
    back = plan_store.plan(plan.id)
    assert [(fit.awaits, fit.other_targets) for fit in back.fits] == [
        (fit.awaits, fit.other_targets) for fit in plan.fits
    ]
    assert plan_store.rebuild() > 0
    assert plan_store.verify().ok


def test_a_fit_that_awaits_an_unknown_one_is_not_forgotten(plan_store: PlanStore) -> None:
    """No document leads to it; a retry says what is missing instead of waiting for ever."""
    plan = plan_of(cs_job("a", families=("LightGBM",)))
    fit = replace(plan.fits[0], awaits=(Awaited(fits=("f_0",), at_least=1),))
    plan_store.accept(replace(plan, jobs=(replace(plan.jobs[0], fits=(fit,)),)), source="s", name="n")
    assert claimed(plan_store) == {}
    plan_store.cancel(fit.id)
    with pytest.raises(NotFound):
        plan_store.retry(fit.id)


def test_many_blends_follow_one_common_model(plan_store: PlanStore) -> None:
    """Each of them is told of its end once, whatever their number."""
    common = cs_job("y", families=("LightGBM",))
    own = [
        {**blended_jobs("LightGBM")[0], "job_id": f"sym_y_S{number}", "symbol": f"S{number}"}
        for number in range(60)
    ]
    plan_store.accept(plan_of(*own, common), source="s", name="n")
    for claim in plan_store.claim("w", stage="cpu", limit=100):
        plan_store.succeeded(claim, SUCCEEDED)
    blends = plan_store.claim("w", stage="cpu", limit=100)
    assert len(blends) == 60
    assert all(len(blend.parts) == 2 for blend in blends)
    assert plan_store.verify().ok
