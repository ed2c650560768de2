"""Children from the inside: whatever happens becomes a last report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from executor_children import Starter, await_outcome

from executors.contract import Failed, FitSpec, Succeeded

SpecMaker = Callable[..., FitSpec]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"params": {"lerning_rate": 0.1}}, "did you mean learning_rate"),
        ({"target": "fwd_ret_1"}, "column fwd_ret_1: no such column"),
        (
            {"family": "QuantileLightGBM", "target": "y_up_1d"},
            "QuantileLightGBM learns regression, not binary",
        ),
        ({"family": "Lightgmb"}, "did you mean LightGBM"),
        ({"panel_path": Path("/nowhere")}, "/nowhere: meta.json is not readable"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_never_tried_again(
    make_spec: SpecMaker, tmp_path: Path, started: Starter, changes: dict[str, object], words: str
) -> None:
    """The sentence names the thing, the place is in our code, the traceback is in the log."""
    child = started(make_spec(**changes), tmp_path)
    outcome = await_outcome(child)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("bad_input", False)
    assert words in outcome.sentence
    assert "\n" not in outcome.sentence
    assert ".py:" in outcome.where
    assert child.returncode == 1
    assert "Traceback" in (tmp_path / "fit.log").read_text()


def test_a_spec_that_cannot_be_read_is_bad_input(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """A child of another version says what it does not understand."""

    class OtherVersion(FitSpec):
        def to_json(self) -> str:
            return '{"colour": "red"}'

    spec = make_spec()
    other = OtherVersion(**{name: getattr(spec, name) for name in FitSpec.__dataclass_fields__})
    outcome = await_outcome(started(other, tmp_path))
    assert isinstance(outcome, Failed)
    assert outcome.cause == "bad_input"
    assert "colour" in outcome.sentence


def test_a_bundle_directory_that_cannot_be_written_fails_the_fit(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """The disk's refusal is internal and may be tried again."""
    (tmp_path / "file").write_text("")
    spec = replace(make_spec(params={"rounds": 5}), bundle_path=tmp_path / "file" / "bundle")
    outcome = await_outcome(started(spec, tmp_path))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("internal", True)
    assert str(tmp_path / "file") in outcome.sentence


def test_a_log_that_takes_no_more_costs_no_word(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """With the log on a full disk the reports come all the same, and the fit ends as it would."""
    for changes, kind in (({}, Succeeded), ({"target": "fwd_ret_1"}, Failed)):
        child = started(make_spec(**changes), tmp_path, log_path=Path("/dev/full"))
        assert isinstance(await_outcome(child), kind)
