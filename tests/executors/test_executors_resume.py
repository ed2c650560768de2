"""A killed fit goes on to the very bytes it would have written, at most one checkpoint interval lost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_children import await_outcome, await_report, contents, started
from small_fits import spec_of

from executors.boosting import Boosted
from executors.checkpoint import Checkpoint
from executors.contract import Checkpointed, FitSpec, Progressed, Report, Started, Succeeded
from executors.families import FAMILIES
from executors.gpu.adamw import AdamW
from executors.gpu.torch_loop import TorchLoop
from executors.session import Session
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

#: The three loops: what is proven of these at more length is true of all that use them.
LOOPS = ("LightGBM", "XGBoost", "LSTM", "FTRLProximal")
CASES = [
    (family.name, target)
    for family in FAMILIES
    for task, target in (("regression", "fwd_ret_1d"), ("multiclass", "y_class_1d"))
    if task in family.tasks and (task == "regression" or family.stage == "cpu" or family.name == "LSTM")
]


class Killed(Exception):
    """Stands for the end of the process inside a test's own."""


def whole(spec: FitSpec, directory: Path) -> dict[str, bytes]:
    """Return the bundle of an uninterrupted fit in this process."""
    spec = replace(spec, checkpoint_dir=directory / "whole-checkpoints", bundle_path=directory / "whole")
    fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    return contents(spec.bundle_path)


def killed_at(spec: FitSpec, checkpoint_number: int, steps: list[int]) -> bool:
    """Do the fit until its n-th checkpoint; return whether it came that far; collect reported steps."""
    seen = itertools.count(1)

    def tell(report: Report) -> None:
        if isinstance(report, Checkpointed | Progressed):
            steps.append(report.step)
        if isinstance(report, Checkpointed) and next(seen) == checkpoint_number:
            raise Killed

    try:
        fit_once(spec, tell=tell, should_stop=lambda: False)
    except Killed:
        return True
    return False


def interrupted(spec: FitSpec, *, every: int) -> tuple[dict[str, bytes], list[int]]:
    """Return the bundle of a fit killed after each n-th checkpoint, and the steps all attempts reported."""
    steps: list[int] = []
    for fence in itertools.count(1):
        if not killed_at(replace(spec, fence=fence, attempt=fence), every, steps):
            break
    return contents(spec.bundle_path), steps


def is_ascending(steps: list[int]) -> bool:
    """Return whether no step was done twice: progress never falls back behind what was saved."""
    return all(earlier <= later for earlier, later in itertools.pairwise(steps))


@pytest.mark.parametrize(("family", "target"), CASES)
def test_a_killed_fit_of_every_family_gives_the_bytes_of_an_uninterrupted_one(
    panel: Panel, tmp_path: Path, family: str, target: str
) -> None:
    """Model, preprocessing, predictions and card: every file is the same, and no step is done twice."""
    spec = spec_of(family, panel, tmp_path, target=target)
    expected = whole(spec, tmp_path)
    got, steps = interrupted(spec, every=1 if family in LOOPS else 3)
    assert len(steps) >= 3
    assert is_ascending(steps)
    assert got == expected


@pytest.mark.parametrize("family", LOOPS)
def test_two_classes_resume_as_well(panel: Panel, tmp_path: Path, family: str) -> None:
    """A binary target ends in the same bytes, killed after every checkpoint."""
    spec = spec_of(family, panel, tmp_path, target="y_up_1d")
    expected = whole(spec, tmp_path)
    assert interrupted(spec, every=1)[0] == expected


@pytest.mark.parametrize("family", LOOPS)
def test_checkpoint_intervals_leave_no_trace_in_the_bundle(panel: Panel, tmp_path: Path, family: str) -> None:
    """How often a fit saves its state changes nothing of what comes out."""
    spec = spec_of(family, panel, tmp_path)
    often = whole(spec, tmp_path / "often")
    assert whole(replace(spec, checkpoint_rounds=10**6), tmp_path / "never") == often


def counting_seed() -> Callable[..., int]:
    """Return a seed that is a function of this process's history instead of the place in the fit."""
    calls = itertools.count(1)
    return lambda self, *parts: next(calls)


def without_losses(found: Checkpoint | None) -> Boosted:
    """Return the state of a checkpoint with the history early stopping needs made up."""
    state = BOOSTED_FROM_CHECKPOINT(found)
    return replace(state, valid_losses=tuple(1e6 for _ in state.valid_losses))


def without_the_epoch_s_loss(loop: TorchLoop, found: Checkpoint | None) -> None:
    """Take over a checkpoint, but not what the epoch under way has summed up."""
    RESUME(loop, found)
    loop.progress.loss_sum = 0.0


def with_initial_best(loop: TorchLoop, found: Checkpoint | None) -> None:
    """Take over a checkpoint, but not its weights."""
    weights = {name: value.clone() for name, value in loop._network.state_dict().items()}
    RESUME(loop, found)
    loop._network.load_state_dict(weights)


BOOSTED_FROM_CHECKPOINT = Boosted.from_checkpoint
RESUME = TorchLoop.resume

FORGETFUL: dict[str, tuple[str, type, str, Any]] = {
    "lightgbm's seed counts calls": ("LightGBM", Session, "seed", counting_seed),
    "xgboost's seed counts calls": ("XGBoost", Session, "seed", counting_seed),
    "dropout and order count calls": ("LSTM", Session, "seed", counting_seed),
    "the losses are left out": ("XGBoost", Boosted, "from_checkpoint", lambda: without_losses),
    "the optimiser is left out": ("LSTM", AdamW, "restore", lambda: lambda self, state: None),
    "the epoch's loss is left out": ("LSTM", TorchLoop, "resume", lambda: without_the_epoch_s_loss),
    "the weights are left out": ("LSTM", TorchLoop, "resume", lambda: with_initial_best),
    "everything is left out": ("LSTM", TorchLoop, "resume", lambda: lambda self, found: None),
}


@pytest.mark.parametrize("mutant", FORGETFUL)
def test_a_fit_that_forgets_part_of_its_state_is_found_out(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """The comparison above has teeth: without one piece of state bytes differ or steps are done twice."""
    family, owner, name, make_replacement = FORGETFUL[mutant]
    spec = spec_of(family, panel, tmp_path)
    monkeypatch.setattr(owner, name, make_replacement())
    expected = whole(spec, tmp_path)
    steps: list[int] = []
    assert killed_at(spec, 3, steps)
    monkeypatch.setattr(owner, name, make_replacement())  # a new process counts from the beginning
    assert not killed_at(replace(spec, fence=2), 10**9, steps)
    assert contents(spec.bundle_path) != expected or not is_ascending(steps)


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("number", [1, 2, 5, 9, 14])
def test_a_fit_killed_in_the_midst_of_saving_goes_on_from_the_state_before(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Whichever write to disk is the last one, half a state is never taken for a whole one."""
    spec = spec_of("LightGBM", panel, tmp_path)
    expected = whole(spec, tmp_path)
    owner = os if call == "fsync" else Path
    original = getattr(owner, call)
    seen = itertools.count(1)

    def dying(*arguments: Any) -> Any:
        if next(seen) == number:
            raise Killed
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner, call, dying)
        died = killed_at(spec, 10**9, [])
    assert died == (call == "fsync" or number < 9)  # there are six renames: five states and the bundle
    assert not killed_at(replace(spec, fence=2), 10**9, [])
    assert contents(spec.bundle_path) == expected


@pytest.mark.slow
def test_a_child_killed_at_random_moments_ends_with_the_same_bytes(
    make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Wherever SIGKILL hits, start-up, training or saving, the next attempt goes on as if unhurt."""
    params = {"rounds": 100, "patience": 100, "chunk_rounds": 5, "row_share": 0.6, "feature_share": 0.5}
    spec = make_spec(params=params, checkpoint_rounds=5)
    expected = whole(spec, tmp_path)
    luck = np.random.default_rng(8)
    for fence in range(1, 5):
        child = started(replace(spec, fence=fence), tmp_path)
        child.wait(luck.uniform(0.1, 1.0))
        child.kill()
        await_outcome(child)
    assert isinstance(await_outcome(started(replace(spec, fence=5), tmp_path)), Succeeded)
    assert contents(spec.bundle_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("family", LOOPS)
def test_children_killed_by_sigkill_lose_at_most_one_interval_and_no_byte(
    panel: Panel, tmp_path: Path, family: str
) -> None:
    """Real processes, real SIGKILL after some checkpoints, twice, a higher fence each time."""
    spec = spec_of(family, panel, tmp_path)
    expected = whole(spec, tmp_path)
    luck = np.random.default_rng(5)
    resumed_from = None
    for fence in itertools.count(1):
        child = started(replace(spec, fence=fence, attempt=fence), tmp_path)
        begun = await_report(child, Started)
        assert isinstance(begun, Started)
        assert begun.resumed_from_step == resumed_from
        if fence > 2:
            break
        for _ in range(luck.integers(1, 3)):
            saved = await_report(child, Checkpointed)
            assert isinstance(saved, Checkpointed)
            resumed_from = saved.step
        child.kill()
        await_outcome(child)
        resumed_from = max(resumed_from or 0, newest_step(spec.checkpoint_dir))
    assert isinstance(await_outcome(child), Succeeded)
    assert contents(spec.bundle_path) == expected


def newest_step(root: Path) -> int:
    """Return the furthest step saved: the child may have saved more than it could still report."""
    return max(int(path.name.removeprefix("step-")) for path in root.glob("*/step-*"))
