"""One fit top to bottom, and what went wrong put into words."""

from __future__ import annotations

from collections.abc import Callable

import lightgbm
import pytest
import torch
import xgboost

from executors.contract import FitSpec, Report, Started, Stopped, Succeeded
from executors.errors import BadInput, UnknownFamily
from executors.training import failure, fit_once
from panel.errors import UnknownColumn

SpecMaker = Callable[..., FitSpec]


def raised(error: Exception) -> Exception:
    """Return `error` as it is caught: with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "cause", "retryable"),
    [
        (BadInput("target y", "has no label", "give some"), "bad_input", False),
        (UnknownColumn("y", ["x"]), "bad_input", False),
        (UnknownFamily("Z", None), "bad_input", False),
        (MemoryError("no more"), "out_of_memory", True),
        (lightgbm.basic.LightGBMError("bad allocation"), "out_of_memory", True),
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory", True),
        (lightgbm.basic.LightGBMError("Check failed: num_data > 0"), "library", False),
        (xgboost.core.XGBoostError("Check failed: labels"), "library", False),
        (RuntimeError("CUDA error: an illegal memory access"), "device", True),
        (OSError(28, "No space left on device"), "disk_full", True),
        (ZeroDivisionError("division by zero"), "internal", True),
    ],
)
def test_every_failure_has_a_cause_and_says_whether_to_try_again(
    error: Exception, cause: str, retryable: bool
) -> None:
    """Data and libraries that refuse will refuse again; memory, devices and accidents may not."""
    failed = failure(raised(error))
    assert (failed.cause, failed.retryable) == (cause, retryable)
    assert str(error).split("\n")[0] in failed.sentence
    assert "test_executors_training.py" in failed.where


def test_the_place_is_the_innermost_of_our_own_code(make_spec: SpecMaker) -> None:
    """A refusal deep in a library is located where we called it."""
    with pytest.raises(UnknownColumn) as caught:
        fit_once(make_spec(target="fwd"), tell=lambda report: None, should_stop=lambda: False)
    assert failure(caught.value).where.startswith("panel/aligned.py:")


def test_a_message_of_many_lines_becomes_one_sentence() -> None:
    """What the user reads is the first line; the log has the rest."""
    error = xgboost.core.XGBoostError("[05:00:00] label must be in [0,1]\nStack trace:\n  [bt] (0) lib")
    assert failure(raised(error)).sentence == "xgboost refused: [05:00:00] label must be in [0,1]"


@pytest.mark.parametrize("family", ["LightGBM", "LSTM"])
def test_a_stop_before_the_first_step_is_a_stop_at_none(make_spec: SpecMaker, family: str) -> None:
    """SIGTERM during start-up leaves nothing to resume, and says so."""
    reports: list[Report] = []
    spec = make_spec(family=family)
    assert fit_once(spec, tell=reports.append, should_stop=lambda: True) == Stopped(step=0)
    assert not spec.checkpoint_dir.exists()


def test_a_finished_fit_leaves_its_bundle_and_the_states_it_could_go_on_from(make_spec: SpecMaker) -> None:
    """Nothing is half written, and until the success is recorded the fit costs an interval, not all."""
    spec = make_spec(params={"rounds": 30, "chunk_rounds": 10}, checkpoint_rounds=10)
    assert isinstance(fit_once(spec, tell=lambda report: None, should_stop=lambda: False), Succeeded)
    begun: list[Report] = []
    assert isinstance(fit_once(spec, tell=begun.append, should_stop=lambda: False), Succeeded)
    assert [report.resumed_from_step for report in begun if isinstance(report, Started)] == [20]
    assert [path.name for path in spec.bundle_path.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("family", ["LightGBM", "XGBoost"])
@pytest.mark.parametrize("target", ["y_noise_1d", "y_up_1d", "y_class_1d"])
def test_trees_that_can_split_on_nothing_end_with_a_bundle(
    make_spec: SpecMaker, family: str, target: str
) -> None:
    """The model says the mean and scores exactly nothing."""
    spec = make_spec(family=family, target=target, params={"rounds": 60, "min_leaf_rows": 100_000})
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    assert outcome.metrics["skill"] == 0.0
