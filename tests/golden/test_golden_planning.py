"""Every rule of routing and planning has a golden case; plans of released versions stay what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import planning_cases
import pytest
from planning_cases import HERE, made

from daemon.admission import family_entry
from planner.config import RoutingConfig
from planner.plan_text import json_bytes
from planner.routing import ROUTES, combine
from planner.routing_plan import load_routing_plan, routing_plan
from planner.schema import load_schema
from planner.signals import DISALLOWED, EXPERIMENTAL, STRONG, WEAK_BUT_OK
from planner.training_plan import TrainingPlanGenerator
from store.errors import PlanRejected
from store.plan_document import complete_plan, load_plan_directory

OLDER = Path(__file__).parent / "plans_v0_1"
DATA = {"panel_key": "d_0", "data_dir": "/data"}
STATES = (STRONG, WEAK_BUT_OK, EXPERIMENTAL, DISALLOWED)


@pytest.mark.parametrize("name", planning_cases.names())
def test_a_case_is_planned_as_it_was(name: str) -> None:
    """Not a byte has drifted; where it shall, python tests/golden/planning_cases.py writes it anew."""
    case = made(name)
    assert json_bytes(case.routing_plan).decode() == (HERE / name / "routing_plan.json").read_text()
    assert json_bytes(case.training_plan).decode() == (HERE / name / "master_training_plan.json").read_text()


@pytest.mark.parametrize("name", planning_cases.names())
def test_a_case_is_valid_and_taken_by_the_store(name: str) -> None:
    """Both plans keep their schemas; the intake takes the one, and refuses it only for training nothing."""
    case = made(name)
    jsonschema.validate(case.routing_plan, load_schema("routing_plan"))
    jsonschema.validate(case.training_plan, load_schema("training_plan"))
    if any(job["fits"] for job in case.training_plan["jobs"]):
        plan = complete_plan(case.training_plan, family_of=family_entry, training={}, data=DATA)
        blends = case.training_plan["summary"]["total_blends"]
        assert len(plan.fits) == case.training_plan["metadata"]["total_fits"] + blends
    else:
        with pytest.raises(PlanRejected):
            complete_plan(case.training_plan, family_of=family_entry, training={}, data=DATA)


def test_the_cases_show_every_route_and_every_pair_of_states() -> None:
    """No rule of the table is without its golden case."""
    pairs, routes = set(), set()
    for name in planning_cases.names():
        for record in made(name).routing_plan["targets"].values():
            for row in record["symbols"].values():
                pairs.add((row["cs_state"], row["local_state"]))
                routes.add(row["route"])
    assert pairs == {(pooled, local) for pooled in STATES for local in STATES}
    assert routes == set(ROUTES)


def test_an_experiment_is_never_promoted() -> None:
    """Whatever it stands beside, an experimental view alone gives no full job."""
    for behavior in ("ROUTE_BOTH", "PREFER_CS", "PREFER_SYMBOL"):
        for other in (EXPERIMENTAL, DISALLOWED):
            assert combine(EXPERIMENTAL, other, behavior)[0] == "ROUTE_EXPERIMENTAL_ONLY"
            assert combine(other, EXPERIMENTAL, behavior)[0] == "ROUTE_EXPERIMENTAL_ONLY"


def test_no_case_has_files_that_nothing_makes() -> None:
    """What lies there is a case and its two plans."""
    for name in planning_cases.names():
        files = {path.name for path in (HERE / name).iterdir()}
        assert files == {"case.toml", "routing_plan.json", "master_training_plan.json"}


def test_a_routing_plan_of_the_first_version_makes_the_same_jobs() -> None:
    """Jobs, families, priorities and reasons as that version planned them; only our additions are more."""
    routes = load_routing_plan(OLDER)
    jsonschema.validate(routes, load_schema("routing_plan"))
    old, _ = load_plan_directory(OLDER)
    generator = TrainingPlanGenerator(routes, old["metadata"]["model_families"])
    new = generator.generate_training_plan(generated_at=old["metadata"]["generated_at"])
    for before, after in zip(old["jobs"], new["jobs"], strict=True):
        added = {key: after[key] for key in after if key not in before}
        assert set(added) <= {"blend"}
        assert _told(before) == _told(after)


def _told(job: dict[str, Any]) -> dict[str, Any]:
    """A job without the estimates of its fits."""
    fits = [{key: fit[key] for key in fit if key != "estimate"} for fit in job["fits"]]
    return {key: fits if key == "fits" else job[key] for key in job if key != "blend"}


def test_a_training_plan_of_the_first_version_keeps_its_identity() -> None:
    """It is accepted, and handing it in again after an upgrade makes no second plan."""
    document, _ = load_plan_directory(OLDER)
    jsonschema.validate(document, load_schema("training_plan"))
    plan = complete_plan(document, family_of=family_entry, training={"seed": 1}, data=DATA)
    assert plan.id == (OLDER / "identity.txt").read_text().strip()
    assert json.dumps(plan.document["blocked"]) == json.dumps(document["blocked"])


def test_the_settings_of_the_rules_are_in_the_routing_plan() -> None:
    """Whoever reads a route finds the lines it was drawn by, also when the planning said nothing of them."""
    routes = load_routing_plan(OLDER)
    assert "settings" not in routes["metadata"]
    document = routing_plan(
        [], RoutingConfig(min_score=0.03), targets=[], symbols=[], generated_at="", provenance={}
    )
    assert document["metadata"]["settings"]["routing"]["min_score"] == 0.03
