"""What a plan says beside its fits: blends, routes, estimates, and a mirror that says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from store_samples import DATA, cs_job, document, family_of

from store import Plan, PlanRejected, complete_plan, parse_plan_text
from store.plan_mirror import mirror_warning


def both(**blend: Any) -> dict[str, Any]:
    """A plan whose symbol job stands before the common one, as priorities have it, with their blend."""
    own = {
        **cs_job("y", families=("LightGBM",), priority=3),
        "job_id": "sym_y_AAPL",
        "symbol": "AAPL",
        "training_type": "symbol_specific",
        "route": "ROUTE_BOTH",
    }
    parts = ["cs_y/light_gbm", "sym_y_AAPL/LightGBM"]
    told = {"model": "blend_y_AAPL", "parts": parts, "weights": "equal", "depends_on": parts, **blend}
    return document({**own, "blend": told}, cs_job("y", families=("LightGBM",)))


def completed(raw: dict[str, Any]) -> Plan:
    """The plan of a document."""
    checked = parse_plan_text(json.dumps(raw).encode(), source="test")
    return complete_plan(checked, family_of=family_of, training={}, data=DATA)


def test_a_blend_names_fits_of_any_job_of_the_plan() -> None:
    """Also of a job behind its own: it comes after all of its parts; and it is kept in the job's record."""
    plan = completed(both())
    own, blend, common = plan.fits
    assert [f"{fit.job_id}/{fit.family}" for fit in plan.fits] == [
        "sym_y_AAPL/LightGBM", "sym_y_AAPL/Blend", "cs_y/LightGBM"
    ]  # fmt: skip
    assert [fit.ordinal for fit in plan.fits] == [0, 1, 2]
    assert [(group.fits, group.at_least) for group in blend.awaits] == [((common.id,), 1), ((own.id,), 1)]
    assert (blend.stage, blend.cores, blend.gpus) == ("cpu", 1, 0)
    assert plan.jobs[0].record["blend"]["model"] == "blend_y_AAPL"
    assert all(fit.depends_on == () and fit.unavailable is None for fit in plan.fits)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"model": None}, "jobs[0].blend"),
        ({"model": " "}, "jobs[0].blend"),
        ({"parts": []}, "jobs[0].blend.parts"),
        ({"parts": "cs_y/LightGBM"}, "jobs[0].blend.parts"),
        ({"parts": ["cs_y/LightGBM", 3]}, "jobs[0].blend.parts[1]"),
        ({"parts": ["cs_y/LightGBM", "cs_z/LightGBM"]}, "jobs[0].blend.parts[1]"),
        ({"parts": ["cs_y/lightgmb"]}, "jobs[0].blend.parts[0]"),
        ({"depends_on": ["cs_y/XGBoost"]}, "jobs[0].blend.depends_on[0]"),
        ({"depends_on": 3}, "jobs[0].blend.depends_on"),
    ],
)
def test_a_blend_of_what_is_not_trained_is_refused_with_its_place(
    changes: dict[str, Any], place: str
) -> None:
    """A slip in a name is found when the plan is handed in, not when all its parts are trained."""
    with pytest.raises(PlanRejected) as found:
        completed(both(**changes))
    assert found.value.place == place
    assert found.value.fix


@pytest.mark.parametrize(
    ("route", "nearest"),
    [
        ("ROUTE_CROSSSECTIONAL", "ROUTE_CROSS_SECTIONAL"),
        ("both", "ROUTE_BOTH"),
        ("ROUTE_BLOCKD", "ROUTE_BLOCKED"),
    ],
)
def test_an_unknown_route_is_refused_with_the_nearest_name(route: str, nearest: str) -> None:
    """A hand-written plan's slip is answered with what was probably meant."""
    with pytest.raises(PlanRejected) as found:
        parse_plan_text(json.dumps(document({**cs_job("y"), "route": route})).encode(), source="test")
    assert found.value.place == "jobs[0].route"
    assert nearest in found.value.fix


def test_what_resembles_no_route_is_told_all_of_them() -> None:
    """Where nothing is near, the list is shown."""
    with pytest.raises(PlanRejected, match="ROUTE_EXPERIMENTAL_ONLY"):
        parse_plan_text(json.dumps(document({**cs_job("y"), "route": "zzz"})).encode(), source="test")


def estimated(**estimate: Any) -> dict[str, Any]:
    """A plan of one fit with an estimate."""
    fit = {"family": "LightGBM", "stage": "cpu", "depends_on": [], "estimate": estimate}
    return document({**cs_job("y", families=("LightGBM",)), "fits": [fit]})


def test_what_fits_may_cost_is_no_part_of_the_plans_identity() -> None:
    """The same plan after other fits were measured is the same plan; its memory is still reserved."""
    one = completed(estimated(seconds=1.0, memory_bytes=100, source="built-in"))
    two = completed(estimated(seconds=9.0, memory_bytes=100, source="3 past fits"))
    assert one.id == two.id
    assert two.fits[0].memory_bytes == 100
    noted = {**estimated(seconds=1.0, memory_bytes=100, source="built-in")}
    noted["metadata"] = {**noted["metadata"], "estimates": {"source": "past fits", "families": {}}}
    assert completed(noted).id == one.id


def test_an_estimate_of_an_older_planner_keeps_its_plans_identity() -> None:
    """It does not say its source, and has always been part of the id."""
    one = completed(estimated(seconds=1.0, memory_bytes=100))
    assert one.id != completed(estimated(seconds=9.0, memory_bytes=100)).id


def written(folder: Path, master: dict[str, Any], mirror: dict[str, Any] | None) -> Path:
    """A plan directory."""
    (folder / "master_training_plan.json").write_text(json.dumps(master))
    if mirror is not None:
        (folder / "training_plan.json").write_text(json.dumps(mirror))
    return folder


def test_a_mirror_that_says_something_else_is_named_with_its_first_place(tmp_path: Path) -> None:
    """Whoever edited the wrong file learns which one is read, and what differs."""
    plan, edited = both(), both()
    edited["jobs"][1]["priority"] = 9
    warning = mirror_warning(written(tmp_path, plan, edited))
    assert warning is not None
    assert "jobs[1].priority" in warning
    assert "master_training_plan.json, which alone is read" in warning
    shorter = both()
    del shorter["jobs"][1]
    assert "jobs[1]" in (mirror_warning(written(tmp_path, plan, shorter)) or "")


def test_a_mirror_that_says_the_same_is_not_spoken_of(tmp_path: Path) -> None:
    """Equal bytes, another layout, or no mirror at all."""
    assert mirror_warning(written(tmp_path, both(), None)) is None
    assert mirror_warning(written(tmp_path, both(), both())) is None
    (tmp_path / "training_plan.json").write_text(json.dumps(both(), indent=3))
    assert mirror_warning(tmp_path) is None


def test_a_broken_mirror_is_named(tmp_path: Path) -> None:
    """The master still counts."""
    written(tmp_path, both(), None)
    (tmp_path / "training_plan.json").write_text("{")
    assert "truncated" in (mirror_warning(tmp_path) or "")
