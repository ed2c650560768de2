"""Plans that were made elsewhere hold anything in the places nobody checks: they are told of all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from store_samples import DATA, cs_job, family_of

from daemon.report import report_html
from daemon.views.explaining import why, why_document, why_lines
from daemon.views.foreign import finite, mapping, texts
from daemon.views.overview import look, overview_document
from daemon.views.plan_compared import compared
from daemon.views.plan_told import plan_told
from store import Plan, PlanStore, complete_plan, parse_plan_text

ODD = (5, -1e300, True, "x", [], [1], [None], {"a": 1}, {"seconds": "x"}, 10**400, {"seconds": 10**400})
PARTS = ("symbols", "interval_ns", "test_share", "targets", "top_n_targets", "seed")


def plans_with(value: Any) -> Iterator[dict[str, Any]]:
    """Documents that have this value where something else is usual; none of them is refused for it."""
    job = {**cs_job("y", families=("LightGBM",)), "features": ["a", "b"]}
    said = ("score", "standard_error", "metric", "families_left_out")
    yield {"jobs": [{**job, "metadata": {"score": 0.1, **dict.fromkeys(said[1:], value)}}]}
    yield {"jobs": [{**job, "metadata": dict.fromkeys(said, value)}]}
    yield {"jobs": [{**job, "estimated_samples": value, "blocked_features": value}]}
    yield {"jobs": [{**job, "fits": [{"family": "LightGBM", "estimate": value}]}]}
    yield {"jobs": [job], "blocked": value}
    yield {"jobs": [job], "blocked": {"z": value}}
    for table in ("data", "request", "settings", "config_hash", "code_version", "seed"):
        yield {"jobs": [job], "metadata": {table: value}}
    for table in ("data", "request", "training"):
        yield {"jobs": [job], "metadata": {table: dict.fromkeys(PARTS, value)}}


def accepted(store: PlanStore, document: dict[str, Any]) -> Plan:
    """The plan of a document, in the log."""
    checked = parse_plan_text(json.dumps(document).encode(), source="test")
    training = {"seed": 1, "stage_barrier": "plan"}
    plan = complete_plan(checked, family_of=family_of, training=training, data=DATA)
    store.accept(plan, source="test", name="foreign")
    return plan


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:20])
def test_a_plan_with_anything_in_any_place_is_told_of(store: PlanStore, value: Any) -> None:
    """Status, the plan's page, its report, the difference to the plan before, and why."""
    before: str | None = None
    for document in plans_with(value):
        plan = accepted(store, document)
        assert plan_told(store.reading, plan.id).targets
        assert plan.id in report_html(store.reading, plan.id)
        assert compared(store.reading, before or plan.id, plan.id).document()
        told = why(store.reading, "y")
        assert list(why_lines(told))
        assert why_document(told)
        assert overview_document(look(store.reading))["plans"]
        before = plan.id


def test_what_is_not_of_its_kind_is_left_out() -> None:
    """A number is finite, an object is an object, texts are a text or a list."""
    assert [finite(one) for one in (1, 0.5, True, "1", None, float("nan"), 10**400)] == [
        1.0, 0.5, None, None, None, None, None,
    ]  # fmt: skip
    assert [mapping(one) for one in ({"a": 1}, [], None, "x")] == [{"a": 1}, {}, {}, {}]
    assert [texts(one) for one in ("x", ["x", 1], None, 5, {"a": 1})] == [("x",), ("x", "1"), (), (), ()]
