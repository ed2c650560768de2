"""What a plan can say so that reading it fails, takes for ever, or speaks to whoever reads the refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store_samples import DATA, cs_job, document, family_of

from store import Plan, PlanRejected, complete_plan, parse_plan_text
from store.errors import LINE_LENGTH_MAX


def completed(fits: Any) -> Plan:
    """The plan of one job that says this of its fits."""
    raw = document({**cs_job("y"), "fits": fits})
    return complete_plan(raw, family_of=family_of, training={}, data=DATA)


def test_a_key_that_comes_twice_among_very_many_is_found_as_fast_as_it_is_read() -> None:
    """An object of 200,000 keys, the last one twice, is refused at once: the look is not quadratic."""
    keys = ",".join(f'"k{number}":0' for number in range(200_000))
    with pytest.raises(PlanRejected, match="'k199999' comes twice"):
        parse_plan_text(f'{{{keys},"k199999":1}}'.encode(), source="plan")


def test_a_text_with_a_nul_is_refused() -> None:
    """No database keeps it, and what the log would give back is not the plan that its identity is of."""
    raw = document({**cs_job("y"), "reason": "for a\0 test"})
    with pytest.raises(PlanRejected, match="NUL") as caught:
        parse_plan_text(json.dumps(raw).encode(), source="plan")
    assert caught.value.place == "jobs[0].reason"


@pytest.mark.parametrize("fits", [5, True, 0.5, "LightGBM", {"LightGBM": {}}])
def test_fits_that_are_no_list_are_refused(fits: object) -> None:
    """What a job says of its fits is a list, or nothing."""
    with pytest.raises(PlanRejected, match="no list of fits") as caught:
        completed(fits)
    assert caught.value.place == "jobs[0].fits"


def test_what_is_said_of_a_fit_that_is_not_trained_is_checked_too() -> None:
    """A family that the job does not name may be listed, and no later reader meets nonsense in it."""
    with pytest.raises(PlanRejected, match="no list of names") as caught:
        completed([{"family": "XGBoost", "other_targets": [{}]}])
    assert caught.value.place == "jobs[0].fits[0].other_targets"


@pytest.mark.parametrize("bytes_", [-1, True, 2**70, 0.5, "all"])
def test_an_estimate_of_memory_that_cannot_be_is_none(bytes_: object) -> None:
    """The planner's guess is no reason to refuse a plan, and never stands in the way of recording it."""
    fits = [{"family": "LightGBM", "estimate": {"memory_bytes": bytes_}}]
    assert {fit.memory_bytes for fit in completed(fits).fits} == {0}


def test_a_refusal_quotes_a_plan_on_one_harmless_line() -> None:
    """No word of a plan writes on the screen of whoever reads why it was refused, nor fills it."""
    fits = [{"family": "LightGBM", "depends_on": ["\x1b[2J\n\u202e" + "x" * 5000]}]
    with pytest.raises(PlanRejected) as caught:
        completed(fits)
    assert "\\x1b[2J\\n\\u202exxx" in caught.value.sentence
    assert len(caught.value.sentence) <= LINE_LENGTH_MAX
    assert str(caught.value).isprintable()


def test_a_field_that_is_missing_is_named_in_the_sentence() -> None:
    """Where only the sentence is shown, as in a list of refused plans, it says which field."""
    raw = document(cs_job("y"))
    del raw["jobs"][0]["target"]
    with pytest.raises(PlanRejected, match="the field target is missing") as caught:
        complete_plan(raw, family_of=family_of, training={}, data=DATA)
    assert caught.value.place == "jobs[0].target"
