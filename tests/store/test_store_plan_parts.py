"""What fits of a plan are made from and learn beside their target: as written, or filled in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store_samples import DATA, blended_jobs, cs_job, document, family_of

from executors.families import BLEND as BLEND_FAMILY
from executors.families import FAMILIES
from store import Fit, Plan, PlanRejected, complete_plan, parse_plan_text
from store.plan import BLEND
from store.plan_parts import OTHER_TARGETS_MAX


def completed(*jobs: dict[str, Any]) -> Plan:
    """The plan of a document of these jobs."""
    checked = parse_plan_text(json.dumps(document(*jobs)).encode(), source="test")
    return complete_plan(checked, family_of=family_of, training={}, data=DATA)


def told(*families: str, **of_the_last: Any) -> dict[str, Any]:
    """A job whose last fit has more to say."""
    fits = [{"family": name} for name in families[:-1]] + [{"family": families[-1], **of_the_last}]
    return {**cs_job("a", families=families), "fits": fits}


def names_of(plan: Plan, fit: Fit) -> list[list[str]]:
    """The names of the groups a fit awaits."""
    names = {one.id: f"{one.job_id}/{one.family}" for one in plan.fits}
    return [[names[fit_id] for fit_id in group.fits] for group in fit.awaits]


def refused(*jobs: dict[str, Any]) -> PlanRejected:
    with pytest.raises(PlanRejected) as found:
        completed(*jobs)
    assert found.value.fix
    return found.value


def test_an_ensemble_of_an_older_plan_is_made_from_all_other_cpu_fits_of_its_job() -> None:
    """Before and behind it, also one that cannot run here; no network, and no fit of another job."""
    families = ("LightGBM", "Ensemble", "XGBoost", "NGBoost", "LSTM")
    plan = completed(cs_job("a", families=families), cs_job("b"))
    assert names_of(plan, plan.fits[1]) == [["cs_a/LightGBM", "cs_a/XGBoost", "cs_a/NGBoost"]]
    assert plan.fits[1].awaits[0].at_least == 2


def test_an_ensemble_does_not_wait_for_what_waits_for_it() -> None:
    """A fit that needs the ensemble, and one that needs that fit, are no members."""
    job = cs_job("a", families=("LightGBM", "XGBoost", "Ensemble", "NGBoost", "MLP"))
    fits = [{"family": "NGBoost", "depends_on": ["ensemble"]}, {"family": "MLP", "depends_on": ["NGBoost"]}]
    plan = completed({**job, "fits": fits})
    assert names_of(plan, plan.fits[2]) == [["cs_a/LightGBM", "cs_a/XGBoost"]]


def test_an_ensemble_is_made_from_the_members_it_names() -> None:
    """In any spelling, of its own job or of another."""
    named = told("LightGBM", "XGBoost", "Ensemble", after=["xgboost", "cs_b/lightgbm"])
    plan = completed(named, cs_job("b"))
    assert names_of(plan, plan.fits[2]) == [["cs_a/XGBoost", "cs_b/LightGBM"]]


@pytest.mark.parametrize(
    ("job", "place", "words"),
    [
        (told("LightGBM", "Ensemble", after=["XGBoost"]), "jobs[0].fits[1].after[0]", "no fit of the plan"),
        (told("LightGBM", "Ensemble", after="LightGBM"), "jobs[0].fits[1].after", "no list"),
        (told("LightGBM", "Ensemble", after=["Ensemble"]), "jobs[0].fits[1].after[0]", "from other fits"),
        (
            told("LSTM", "Ensemble", after=["LSTM"]),
            "jobs[0].fits[1].after[0]",
            "GPU stage, which comes after",
        ),
        (told("LightGBM", "XGBoost", after=["LightGBM"]), "jobs[0].fits[1].after", "not made from other"),
        (told("LSTM", "XGBoost", depends_on=["LSTM"]), "jobs[0].fits", "GPU stage, which comes after"),
        (told("LightGBM", other_targets=["y"]), "jobs[0].fits[0].other_targets", "learns one target"),
        (told("MultiTask", other_targets=["a"]), "jobs[0].fits[0].other_targets", "own target"),
        (cs_job("a", families=("LightGBM", "Blend")), "jobs[0].model_families[1]", "no family"),
    ],
)
def test_what_can_never_be_made_is_refused_with_its_place(
    job: dict[str, Any], place: str, words: str
) -> None:
    """When the plan is handed in, not when all else is trained."""
    found = refused(job)
    assert found.place == place
    assert words in found.sentence


def test_fits_that_wait_for_each_other_are_refused() -> None:
    """A member that needs the ensemble's success would wait for it, and it for the member."""
    job = told("Ensemble", "LightGBM", "XGBoost", depends_on=["Ensemble"])
    job["fits"][0] = {"family": "Ensemble", "after": ["LightGBM", "XGBoost"]}
    found = refused(job)
    assert "wait for each other" in found.sentence
    assert "cs_a/Ensemble" in found.sentence


def test_shared_targets_of_an_older_plan_are_those_trained_in_the_same_way() -> None:
    """Common models beside common ones, a symbol's beside that symbol's, few of them, in the plan's order."""
    many = [cs_job(f"t{number}", families=("MultiTask",)) for number in range(12)]
    own = {
        **cs_job("t3", families=("MultiTask",)), "job_id": "sym_t3_AAPL", "symbol": "AAPL",
        "training_type": "symbol_specific",
    }  # fmt: skip
    plan = completed(*many, own)
    assert plan.fits[2].other_targets == ("t0", "t1", "t3", "t4", "t5", "t6", "t7")
    assert len(plan.fits[2].other_targets) == OTHER_TARGETS_MAX
    assert plan.fits[12].other_targets == ()
    assert plan.fits[12].lacking == (
        "it learns several targets at once, and the plan trains one only of AAPL"
    )


def test_shared_targets_that_are_named_are_those() -> None:
    """The planner names them by rank, and a person as they like."""
    plan = completed(told("LightGBM", "MultiTask", other_targets=["z", "y"]))
    assert plan.fits[1].other_targets == ("z", "y")


def test_a_plan_of_the_older_system_that_needs_a_blend_has_one() -> None:
    """`needs_cs_ensemble` alone is enough: all models of both jobs, each job a side, networks last."""
    own, common = blended_jobs("LightGBM", "LSTM")
    plan = completed(own, common)
    (blend,) = [fit for fit in plan.fits if fit.family == BLEND]
    assert (blend.job_id, blend.stage, blend.ordinal, blend.cores, blend.gpus) == (
        "sym_y_AAPL",
        "gpu",
        2,
        1,
        0,
    )
    assert names_of(plan, blend) == [
        ["cs_y/LightGBM", "cs_y/LSTM"],
        ["sym_y_AAPL/LightGBM", "sym_y_AAPL/LSTM"],
    ]
    assert "blend" not in plan.jobs[0].record


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {}},
        {"metadata": {"needs_cs_ensemble": False}},
        {"model_families": []},
        {"target": "z"},
        {"blend": None},
    ],
)
def test_what_needs_no_blend_or_has_no_other_side_has_none(changes: dict[str, Any]) -> None:
    """No job of all symbols for its target, no models of its own, or nobody asked; null says no."""
    own, common = blended_jobs("LightGBM")
    plan = completed({**own, **changes}, common)
    assert BLEND not in {fit.family for fit in plan.fits}


def test_a_blend_is_no_part_of_a_plans_identity() -> None:
    """The hash of the document is that of before blends were trained: handed in again, it is known."""
    own, common = blended_jobs("LightGBM")
    plan = completed(own, common)
    assert plan.id == "p_0501b1a20b4e49e8"
    assert [job["model_families"] for job in plan.document["jobs"]] == [["LightGBM"], ["LightGBM"]]


def test_a_blend_waits_for_what_it_comes_after_too() -> None:
    """Fits in `depends_on` that are no parts are waited for, and need not succeed."""
    own, common = blended_jobs("LightGBM", "XGBoost")
    parts = ["cs_y/LightGBM", "LightGBM"]
    blend = {"model": "b", "parts": parts, "weights": "equal", "depends_on": [*parts, "cs_y/XGBoost"]}
    plan = completed({**own, "blend": blend}, common)
    made = plan.fits[2]
    assert [group.at_least for group in made.awaits] == [1, 1, 0]
    assert names_of(plan, made)[2] == ["cs_y/XGBoost"]


def test_a_blend_of_one_job_is_accepted_and_cannot_be_made() -> None:
    """It was accepted before, and says now what is missing."""
    own, common = blended_jobs("LightGBM", "XGBoost")
    parts = ["cs_y/LightGBM", "cs_y/XGBoost"]
    plan = completed({**own, "blend": {"model": "b", "parts": parts}}, common)
    assert plan.fits[2].lacking == "it is made from the models of two jobs, and its parts are of one"


def test_unknown_weights_of_a_blend_are_refused() -> None:
    """Not when all its parts are trained."""
    own, common = blended_jobs("LightGBM")
    blend = {"model": "b", "parts": ["cs_y/LightGBM", "LightGBM"], "weights": "by_feeling"}
    assert refused({**own, "blend": blend}, common).place == "jobs[0].blend.weights"


def test_the_blend_has_one_name_and_is_none_of_the_families() -> None:
    """The store and the catalogue mean the same, and no plan can name it as a family."""
    assert BLEND_FAMILY.name == BLEND
    assert BLEND not in {family.name for family in FAMILIES}
