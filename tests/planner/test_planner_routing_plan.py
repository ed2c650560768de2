"""The routing plan document: complete, valid, readable again, refused when broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from planner_samples import candidate, local_candidate

from planner.artifacts import write_routing_plan
from planner.config import RoutingConfig
from planner.errors import PlanUnreadable
from planner.routing_plan import load_routing_plan, routing_plan
from planner.schema import load_schema


def _document(**options: Any) -> dict[str, Any]:
    rows = [
        candidate(),
        local_candidate("AAA"),
        candidate(target="n", kept=False, kept_reason="dropped: q 0.4"),
    ]
    return routing_plan(
        rows,
        RoutingConfig(),
        **{
            "targets": ["y", "n"],
            "symbols": ["BBB", "AAA"],
            "generated_at": "2026-01-02T03:04:05Z",
            "provenance": {"config_hash": "c"},
            **options,
        },
    )


def test_it_holds_a_switch_and_a_route_for_each_symbol_of_each_target() -> None:
    """The layout of the older system, with states, reasons and our numbers."""
    target = _document()["targets"]["y"]
    assert target["cross_sectional"]["state"] == "STRONG"
    assert target["cross_sectional"]["route"] == "ENABLED"
    assert target["cross_sectional"]["score"] == 0.10
    assert target["cross_sectional"]["features"] == ["alpha", "beta"]
    assert list(target["symbols"]) == ["AAA", "BBB"]
    assert target["symbols"]["AAA"]["route"] == "ROUTE_BOTH"
    assert target["symbols"]["AAA"]["cs_state"] == target["symbols"]["AAA"]["local_state"] == "STRONG"
    assert isinstance(target["symbols"]["BBB"]["reason"], list)


def test_blocked_targets_are_listed_with_every_reason() -> None:
    """A target that is routed nowhere, and one that never became a candidate."""
    blocked = _document(left_out={"z": ["left out: constant"]})["blocked"]
    assert list(blocked) == ["n", "z"]
    assert blocked["n"][0].startswith("all symbols: rank_ic 0.1")
    assert "dropped: q 0.4" in blocked["n"][0]
    assert blocked["z"] == ["left out: constant"]


def test_an_experiment_nobody_may_train_is_blocked() -> None:
    """A common experimental signal alone trains, an unusable pair does not."""
    document = _document()
    assert document["targets"]["n"]["cross_sectional"]["route"] == "DISABLED"
    assert document["summary"]["by_route"]["ROUTE_BLOCKED"] == 2
    assert document["summary"]["cross_sectional_enabled"] == 1


def test_it_validates_against_its_schema() -> None:
    """With and without targets."""
    jsonschema.validate(_document(), load_schema("routing_plan"))
    jsonschema.validate(_document(targets=[]), load_schema("routing_plan"))


def test_it_is_read_again_from_directory_file_and_yaml(tmp_path: Path) -> None:
    """What was written comes back, however it is asked for."""
    document = _document()
    folder = write_routing_plan(tmp_path, document)
    assert load_routing_plan(folder) == document
    assert load_routing_plan(str(folder / "routing_plan.json")) == document
    assert load_routing_plan(folder / "routing_plan.yaml") == document
    (folder / "routing_plan.json").unlink()
    assert load_routing_plan(folder) == document
    assert yaml.safe_load((folder / "routing_plan.yaml").read_text()) == document


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"targets": 3}', '{"targets": {"y": {"symbols": {"A": 1}}}}', "null"]
)
def test_a_broken_plan_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    """Empty, cut short, or something else."""
    file = tmp_path / "routing_plan.json"
    file.write_text(text)
    with pytest.raises(PlanUnreadable) as caught:
        load_routing_plan(tmp_path)
    assert str(file) in caught.value.where


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    """Nothing there is an error, not an empty plan."""
    with pytest.raises(PlanUnreadable):
        load_routing_plan(tmp_path / "nowhere")


def test_the_markdown_has_the_routes_and_the_reasons(tmp_path: Path) -> None:
    """A person can read why."""
    folder = write_routing_plan(tmp_path, _document(left_out={"z|<b>": ["left | out"]}))
    text = (folder / "routing_plan.md").read_text()
    assert "1 target of 3 trained, 1 with a model of all symbols; 2 symbols." in text
    assert "| AAA | both | 0.1 | STRONG | local: rank_corr 0.1 (95 % 0.08 to 0.12)" in text
    assert "## Not trained" in text
    assert "z\\|&lt;b> | left \\| out" in text
    assert json.loads((folder / "routing_plan.json").read_text())


def test_the_law_that_was_found_is_in_the_plan_and_on_its_page(tmp_path: Path) -> None:
    """A reader sees by which features a target is predictable, and how; an older table says nothing of it."""
    rows = [
        candidate(found_by="folded", leading=("alpha", "beta"), sign=1, best_model="boosted"),
        candidate(target="z", found_by="lag", leading=("gamma",), lag_bars=7, sign=-1),
        candidate(target="older"),
    ]
    document = routing_plan(
        rows,
        RoutingConfig(),
        targets=["y", "z", "older"],
        symbols=["AAA", "BBB"],
        generated_at="2026-01-02T03:04:05Z",
        provenance={},
    )
    jsonschema.validate(document, load_schema("routing_plan"))
    assert document["targets"]["y"]["cross_sectional"]["leading"] == ["alpha", "beta"]
    assert "found_by" not in document["targets"]["older"]["cross_sectional"]
    text = (write_routing_plan(tmp_path, document) / "routing_plan.md").read_text()
    assert "| size of alpha, beta |" in text
    assert "| gamma 7 bars late |" in text
