"""Specifications and reports on their way between parent and child."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.contract import (
    Checkpointed,
    Failed,
    FitSpec,
    Progressed,
    Report,
    Started,
    Stopped,
    Succeeded,
    decode,
    encode,
    is_outcome,
)
from executors.errors import BadReport, BadSpec

SpecMaker = Callable[..., FitSpec]

REPORTS: tuple[Report, ...] = (
    Started(
        device_requested="cuda:0",
        device_used="cpu",
        device_reason="no CUDA device on this machine",
        pid=12,
        resumed_from_step=50,
        resumed_from_fence=3,
        rows_train=100,
        rows_valid=20,
        rows_test=30,
    ),
    Progressed(step=5, steps_total=400, train_loss=0.5, valid_loss=None),
    Checkpointed(step=50, path="/x/ü", seconds=0.01),
    Succeeded(bundle="/b", bundle_sha256="ab", metrics={"score": 0.1, "classes": [0.0, 1.0]}),
    Failed(cause="bad_input", sentence="no\nlabel", where="dataset.py:1", retryable=False),
    Stopped(step=7),
)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_a_report_comes_out_as_it_went_in(report: Report) -> None:
    """Every kind of report survives the pipe, on one line."""
    line = encode(report)
    assert line.count(b"\n") == 1
    assert decode(line) == report


def test_only_succeeded_failed_and_stopped_end_a_fit() -> None:
    """The last three kinds are outcomes, the first three are not."""
    assert [is_outcome(report) for report in REPORTS] == [False] * 3 + [True] * 3


def test_numbers_json_cannot_carry_become_null() -> None:
    """A loss that is not a number is reported as unknown, at every depth."""
    assert decode(encode(Progressed(step=1, steps_total=2, train_loss=float("nan")))) == Progressed(
        step=1, steps_total=2
    )
    sent = Succeeded(bundle="b", bundle_sha256="c", metrics={"a": {"b": [float("inf"), 1.0]}})
    received = decode(encode(sent))
    assert isinstance(received, Succeeded)
    assert received.metrics == {"a": {"b": [None, 1.0]}}


@given(st.binary(max_size=80))
def test_no_line_whatever_breaks_the_reader(line: bytes) -> None:
    """Bytes that are no report are refused with the package's own error."""
    with pytest.raises(BadReport):
        decode(line)


@pytest.mark.parametrize("line", ['{"report": "Exploded"}', '{"report": "Stopped"}', "[]", "{}", "null"])
def test_json_that_is_no_report_is_refused(line: str) -> None:
    """An unknown kind or missing fields are refused, naming the line."""
    with pytest.raises(BadReport, match="not a report"):
        decode(line)


def test_a_spec_comes_out_as_it_went_in(make_spec: SpecMaker) -> None:
    """Paths, tuples and parameters survive the way through a file."""
    spec = make_spec(params={"rounds": 10}, features=("a", "b"), blocked_features=("c",))
    assert FitSpec.from_json(spec.to_json()) == spec
    assert isinstance(FitSpec.from_json(spec.to_json()).bundle_path, Path)


def test_a_spec_with_an_unknown_or_missing_field_is_refused(make_spec: SpecMaker) -> None:
    """Parent and child of different versions do not misunderstand each other."""
    values = json.loads(make_spec().to_json())
    with pytest.raises(BadSpec, match="colour"):
        FitSpec.from_json(json.dumps({**values, "colour": "red"}))
    del values["target"]
    with pytest.raises(BadSpec, match="target"):
        FitSpec.from_json(json.dumps(values))
    with pytest.raises(BadSpec, match="not JSON"):
        FitSpec.from_json(b"{")
    with pytest.raises(BadSpec, match="not a JSON object"):
        FitSpec.from_json("[]")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"training_type": "other"}, "training_type"),
        ({"symbol": "AAA"}, "symbol"),
        ({"training_type": "symbol_specific"}, "symbol"),
        ({"gpu_fallback": "maybe"}, "gpu_fallback"),
        ({"device_requested": "tpu"}, "device_requested"),
        ({"threads": 0}, "threads"),
    ],
)
def test_a_spec_no_child_could_work_with_is_refused(
    make_spec: SpecMaker, changes: dict[str, object], field: str
) -> None:
    """The refusal names the field."""
    with pytest.raises(BadSpec, match=field):
        replace(make_spec(), **changes)
