"""Documents as text: JSON as json writes it, YAML that loads to the same values, in every layout."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import plan_text
from planner.plan_text import PlanText, as_yaml, json_bytes, pieces, yaml_bytes

TRICKY: dict[str, Any] = {
    "numbers": [1e-07, -1e22, 1.5e-08, 1e-05, 0.1, -3, 0, 10**30],
    "words": [
        *(
            "x:1e-05,",
            "\u2028\x7f\x85\u0090\U0001f600",
            "q 1e-05, ",
            "\n",
            " lead",
            "yes",
            "1e-07",
            'a"b\\c',
            "",
        ),
        *(
            "0x1F",
            "1:30",
            "<<",
            "=",
            "~",
            "- a",
            "# b",
            "\ufeff",
            "null",
            "2026-01-01",
            "[1e-07,1e-07]",
            ": 1e-07,",
        ),
    ],
    "empty": {},
    "none": None,
    "yes": True,
    "x 1e-07": {"1e-07": 1e-07, "\u2029": {"inner": [[], [[1e-300]]]}},
    "last": 1e-07,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)


def both_loaders(text: bytes) -> list[Any]:
    """The document as the C and the Python reader of YAML see it."""
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [yaml.load(text, loader) for loader in (fast, yaml.SafeLoader)]  # noqa: S506 - both are safe


def plan(jobs: int = 3) -> dict[str, Any]:
    """A document with jobs of every kind of value."""
    made = [
        {"job_id": f"j{number}", "fits": [{"stage": "cpu"}, {"stage": "gpu"}], "note": TRICKY}
        for number in range(jobs)
    ]
    return {"metadata": {"total_jobs": jobs}, "jobs": made, "summary": {}, "blocked": {"z": ["a", "b"]}}


def test_json_is_what_json_writes() -> None:
    """Two spaces to a level, UTF-8, one newline at the end."""
    assert json_bytes(TRICKY) == (json.dumps(TRICKY, indent=2, ensure_ascii=False) + "\n").encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    """NaN never reaches a file, whichever way it is written."""
    document = {**plan(1), "bad": value}
    for write in (json_bytes, yaml_bytes):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(document)
    with pytest.raises(ValueError, match="JSON compliant"):
        b"".join(PlanText(document).json())
    with pytest.raises(ValueError, match="JSON compliant"):
        PlanText({"jobs": [{"score": value}]})


def test_a_document_in_pieces_has_the_same_bytes() -> None:
    """Plans and routes are written piece by piece: nobody can tell."""
    document = plan()
    assert b"".join(PlanText(document).json()) == json_bytes(document)
    routes = {"metadata": {}, "targets": {"a": TRICKY, "b": {}}, "blocked": {}}
    assert b"".join(pieces(routes, "targets")) == json_bytes(routes)
    empty = {**document, "jobs": []}
    assert b"".join(PlanText(empty).json()) == json_bytes(empty)
    assert b"".join(pieces({"targets": {}}, "targets")) == json_bytes({"targets": {}})


def test_a_large_plan_has_one_job_to_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be searched and compared by lines, and is the same document."""
    monkeypatch.setattr(plan_text, "LARGE_FROM", 2)
    document = plan()
    text = b"".join(PlanText(document).json())
    assert json.loads(text) == document
    assert [line for line in text.split(b"\n") if b'"job_id"' in line and line.count(b'"job_id"') == 1]
    assert text.count(b"\n") < 20
    part = {"stage": "cpu", "jobs": [{**document["jobs"][0], "fits": []}]}
    assert json.loads(b"".join(PlanText(document).json(part))) == part


@pytest.mark.parametrize("limit", [0, 10**9])
@pytest.mark.parametrize("large", [1, 10**9])
def test_yaml_loads_to_the_same_values_in_every_layout(
    limit: int, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block style or flow style, a job to a line or not: what was written comes back."""
    monkeypatch.setattr(plan_text, "BLOCK_STYLE_BYTES", limit)
    monkeypatch.setattr(plan_text, "LARGE_FROM", large)
    document = plan()
    assert both_loaders(b"".join(PlanText(document).yaml())) == [document, document]
    assert both_loaders(yaml_bytes(document)) == [document, document]


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_any_json_value_is_yaml_of_the_same_value(value: object) -> None:
    """Words that look like numbers, numbers that look like words, letters that YAML does not take."""
    document = {"value": value}
    for text in (
        json_bytes(document),
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
    ):
        (made,) = as_yaml([text])
        assert both_loaders(made) == [document, document]
        assert json.loads(made) == document
