"""The loop of learners that are arrays: early stopping, the best step kept, resumed at every step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_fits import FOREIGN

from executors import estimating
from executors.contract import Checkpointed, FitSpec, Progressed, Report, Started
from executors.dataset import fit_data
from executors.errors import BadInput, StopAsked
from executors.estimating import Arrays, Learned, cpu_device, learn, one_blas_thread
from executors.session import Session

SpecMaker = Callable[..., FitSpec]

DEVICE = cpu_device("a toy")
RESUME = estimating._Loop.resume

_FIT = """
import sys
from executors.contract import FitSpec
from executors.kinds import kind_of, leave_out_slow_interfaces
from executors.training import fit_once
for text in sys.argv[2:]:
    spec = FitSpec.from_json(text)
    leave_out_slow_interfaces(kind_of(spec))
    print(fit_once(spec, tell=lambda report: None, should_stop=lambda: False).bundle_sha256)
print(sorted(set(sys.modules) & set(sys.argv[1].split(","))))
"""


class Walk:
    """Walks at random, each step a function of its number and of where it is; losses may be given."""

    def __init__(self, session: Session, losses: list[float | None] | None = None) -> None:
        self._session, self._losses = session, losses
        self.place = np.zeros((2, 3))
        self.steps: list[int] = []

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return where it is; transposed on the way, so that the memory's order is another."""
        return {"place": self.place.T}

    def restore(self, state: Arrays) -> None:
        """Stand there again."""
        self.place = state["place"].T
        self.place += 0.0  # must be allowed to write to it

    def step(self, number: int) -> tuple[float, float | None]:
        """Go on by a random step, drawn by the session's seed."""
        self.steps.append(number)
        random = np.random.default_rng(self._session.seed("walk", number))
        self.place = 0.9 * self.place + random.standard_normal((2, 3))
        loss = float(np.square(self.place).mean())
        return loss, loss if self._losses is None else self._losses[number - 1]

    def model(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the very array that the next step may change."""
        return {"place": self.place}


def session_of(spec: FitSpec, reports: list[Report], stop_after: int = 10**9) -> Session:
    """Return a session that is asked to stop at the look after `stop_after` steps."""
    looks = iter(range(10**9))
    return Session(
        spec=spec,
        data=fit_data(spec),
        params={},
        versions={},
        tell=reports.append,
        should_stop=lambda: next(looks) >= stop_after,
    )


def walked(spec: FitSpec, reports: list[Report], *, stop_after: int = 10**9, **settings: Any) -> Learned:
    """Walk 12 steps, or until asked to stop."""
    session = session_of(spec, reports, stop_after)
    learner = Walk(session, settings.pop("losses", None))
    return learn(session, learner, DEVICE, **{"steps": 12, **settings})


def same(one: Learned, other: Learned) -> bool:
    """Whether two results are the same, bit for bit."""
    model = one.model["place"].tobytes() == other.model["place"].tobytes()
    return model and (one.curve, one.best_step) == (other.curve, other.best_step)


@pytest.mark.parametrize("stop_after", range(12))
def test_a_walk_stopped_after_any_step_ends_where_it_would_have(
    make_spec: SpecMaker, stop_after: int
) -> None:
    """The state after the last step is saved, the next attempt begins there and does no step twice."""
    spec, reports = make_spec(checkpoint_rounds=10**6), list[Report]()
    expected = walked(replace(spec, checkpoint_dir=spec.checkpoint_dir / "whole"), reports)
    with pytest.raises(StopAsked) as stopped:
        walked(spec, reports, stop_after=stop_after)
    assert stopped.value.step == stop_after
    reports.clear()
    assert same(walked(replace(spec, fence=2), reports), expected)
    begun = reports[0]
    assert isinstance(begun, Started)
    assert begun.resumed_from_step == (stop_after or None)


def forgets_best(loop: Any, found: Any) -> None:
    """Take over a checkpoint, but not the best model."""
    RESUME(loop, found)
    loop.best = {"place": np.zeros((2, 3))}


def forgets_lowest(loop: Any, found: Any) -> None:
    """Take over a checkpoint, but not how good the best step was."""
    RESUME(loop, found)
    loop._lowest = float("inf")


def forgets_place(loop: Any, found: Any) -> None:
    """Take over a checkpoint, but not the learner's own state."""
    RESUME(loop, found)
    loop._learner.place = np.zeros((2, 3))


@pytest.mark.parametrize("mutant", [forgets_best, forgets_lowest, forgets_place])
def test_a_loop_that_forgets_part_of_its_state_is_found_out(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch, mutant: Callable[..., None]
) -> None:
    """The comparison above has teeth."""
    spec = make_spec()
    expected = walked(replace(spec, checkpoint_dir=spec.checkpoint_dir / "whole"), [])
    assert 0 < expected.best_step < 8
    with pytest.raises(StopAsked):
        walked(spec, [], stop_after=8)
    monkeypatch.setattr(estimating._Loop, "resume", mutant)
    assert not same(walked(replace(spec, fence=2), []), expected)


def test_the_model_is_that_of_the_best_step_and_patience_ends_the_walk(make_spec: SpecMaker) -> None:
    """The lowest validation loss wins, the first of equals, and later steps do not write into it."""
    losses: list[float | None] = [5.0, 3.0, 2.0, 2.0, 4.0, 2.5, 9.0, 1.0]
    found = walked(make_spec(), [], losses=losses, steps=8, patience=4)
    assert (found.steps, found.best_step) == (7, 3)
    assert found.curve["valid_loss"] == losses[:7]
    again = walked(make_spec(), [], losses=[None] * 3, steps=3)
    np.testing.assert_array_equal(found.model["place"], again.model["place"])


def test_without_validation_losses_the_last_step_is_the_model(make_spec: SpecMaker) -> None:
    """Nothing says that an earlier one was better, and nothing ends the walk before its steps."""
    found = walked(make_spec(), [], losses=[None] * 12, patience=2)
    assert (found.steps, found.best_step) == (12, 12)
    assert found.curve["valid_loss"] == []


def test_the_model_before_any_step_stays_when_no_step_is_better(make_spec: SpecMaker) -> None:
    """With the loss it comes with, a learner that only gets worse is left as it came."""
    losses: list[float | None] = [1.0, 0.9, 0.8, 0.7]
    kept = walked(make_spec(), [], losses=losses, steps=4, patience=3, loss_before=0.6)
    assert (kept.steps, kept.best_step) == (3, 0)
    np.testing.assert_array_equal(kept.model["place"], 0.0)
    assert walked(make_spec(), [], losses=losses, steps=4, loss_before=0.75).best_step == 4


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_refused_at_once(make_spec: SpecMaker, bad: float) -> None:
    """Divergence is a sentence that names family, target and step, not a card that cannot be written."""
    with pytest.raises(BadInput, match="LightGBM on fwd_ret_1d: the loss is no finite number after step 2"):
        walked(make_spec(), [], losses=[1.0, bad, 0.5], steps=3)


def test_states_are_saved_as_often_as_asked_and_progress_is_told(make_spec: SpecMaker) -> None:
    """Every fourth of 12 steps but the last, and the first progress with both losses."""
    reports: list[Report] = []
    walked(make_spec(checkpoint_rounds=4), reports)
    assert [report.step for report in reports if isinstance(report, Checkpointed)] == [4, 8]
    told = next(report for report in reports if isinstance(report, Progressed))
    assert (told.step, told.steps_total) == (1, 12)
    assert told.train_loss == told.valid_loss


def test_products_of_matrices_are_made_by_one_thread() -> None:
    """Inside the block every library of linear algebra is down to one thread, afterwards as before."""
    from threadpoolctl import threadpool_info

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    before = threads()
    with one_blas_thread():
        assert threads() == {1}
    assert threads() == before


def test_families_of_numpy_alone_load_no_library_and_give_the_same_bytes_on_any_number_of_threads(
    make_spec: SpecMaker, tmp_path: Path
) -> None:
    """In fresh processes on one thread and on two: the same bundles, and neither pandas nor any trainer."""
    params = {"RewardBased": {"steps": 30}, "MetaLearning": {"steps": 5}, "FTRLProximal": {"passes": 2}}
    printed = []
    for threads in ("1", "2"):
        texts = []
        for family, own in params.items():
            where = {"checkpoint_dir": tmp_path / threads / "c", "bundle_path": tmp_path / threads / family}
            texts.append(make_spec(family=family, params=own, **where).to_json())
        command = [sys.executable, "-c", _FIT, ",".join(FOREIGN), *texts]
        environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
        printed.append(done.stdout.splitlines())
    assert printed[0] == printed[1]
    assert len(set(printed[0][:-1])) == 3
    assert printed[0][-1] == "[]"
