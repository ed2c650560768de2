"""One fit under way: what a family's training loop is given, and what it hands back."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors import checkpoint
from executors.checkpoint import Checkpoint
from executors.contract import Checkpointed, FitSpec, Progressed, Report, Started
from executors.dataset import FitData
from executors.errors import StopAsked
from executors.parameters import Number
from executors.seeds import derived_seed
from executors.weights import row_weights

PROGRESS_SECONDS = 0.5

StateFiles = Callable[[], dict[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a fit is trained: as asked ("cpu", "cuda:N"), and why there if not."""

    used: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished model before it is judged and bundled.

    Attributes:
        files: of the model, in its library's own format: name -> content.
        steps: done in all.
        best_step: whose state is kept, by the validation loss.
        curve: losses by step or epoch: name -> values.
        importances: by feature, from the model itself; empty: measured by permutation afterwards.
        device: where it was trained.
        outline: what `predict` needs to know beside the files, JSON-able.
        importance_method: what the importances are ("gain", "tree_shap", "permutation", ...).
        gains: total gain by feature beside the importances, of boosted trees; else empty.
    """

    files: Mapping[str, bytes]
    steps: int
    best_step: int
    curve: Mapping[str, list[float]]
    importances: Mapping[str, float]
    device: Device
    outline: Mapping[str, Any]
    importance_method: str = "gain"
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Session:
    """The way of a training loop to its data, its seed, its checkpoints and its listener.

    Attributes:
        spec: what is to be done.
        data: rows and features.
        params: every setting of the family.
        versions: of the libraries that determine the result.
        tell: takes each report.
        should_stop: whether SIGTERM has come.
        clock: seconds, monotonic.
    """

    spec: FitSpec
    data: FitData
    params: Mapping[str, Number]
    versions: Mapping[str, str]
    tell: Callable[[Report], None]
    should_stop: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic
    _saved_step: int = field(default=0, init=False)
    _saved_at: float = field(default=0.0, init=False)
    _told_at: float = field(default=float("-inf"), init=False)

    def weights(self) -> NDArray[np.float32]:
        """Return how much each training row counts, (rows,) float32 with mean 1."""
        return row_weights(self.data, self.params)

    def seed(self, *parts: str | int) -> int:
        """Return this fit's seed for the purpose `parts`: a function of the spec and nothing else."""
        spec = self.spec
        return derived_seed(spec.seed, spec.job, spec.family, *parts)

    def begin(self, device: Device) -> Checkpoint | None:
        """Report Started and return the state to go on from, None at the very beginning."""
        spec, data = self.spec, self.data
        found = checkpoint.newest(spec.checkpoint_dir, fence=spec.fence, identity=self._identity())
        self._saved_step = found.step if found else 0
        self._saved_at = self.clock()
        self.tell(
            Started(
                device_requested=spec.device_requested,
                device_used=device.used,
                device_reason=device.reason,
                pid=os.getpid(),
                resumed_from_step=found.step if found else None,
                resumed_from_fence=found.fence if found else None,
                rows_train=len(data.train),
                rows_valid=len(data.valid),
                rows_test=len(data.test),
            )
        )
        return found

    def progress(
        self, step: int, steps_total: int, train_loss: float | None, valid_loss: float | None
    ) -> None:
        """Report Progressed, at most twice a second."""
        if self.clock() - self._told_at >= PROGRESS_SECONDS:
            self._told_at = self.clock()
            report = Progressed(
                step=step, steps_total=steps_total, train_loss=train_loss, valid_loss=valid_loss
            )
            self.tell(report)

    def save_if_due(self, step: int, files: StateFiles) -> None:
        """Save the state after `step` once enough steps or seconds have passed since the last one."""
        steps = step - self._saved_step
        late = self.clock() - self._saved_at >= self.spec.checkpoint_seconds
        if steps >= self.spec.checkpoint_rounds or (steps > 0 and late):
            self._save(step, files)

    def stop_if_asked(self, step: int, files: StateFiles) -> None:
        """Save the state after `step` and end the loop, if SIGTERM has come.

        Raises:
            StopAsked: it has.
        """
        if self.should_stop():
            if step > self._saved_step:
                self._save(step, files)
            raise StopAsked(step)

    def _save(self, step: int, files: StateFiles) -> None:
        began = self.clock()
        spec = self.spec
        try:
            path = checkpoint.save(
                spec.checkpoint_dir, fence=spec.fence, step=step, identity=self._identity(), files=files()
            )
        except OSError as error:
            # A full disk costs the way back, not the fit: it goes on and tries again an interval later.
            sys.stderr.write(f"WARNING: no checkpoint at step {step}: {error}\n")
            self._saved_at = began
            return
        self._saved_step, self._saved_at = step, self.clock()
        self.tell(Checkpointed(step=step, path=str(path), seconds=self._saved_at - began))

    def _identity(self) -> str:
        return checkpoint.identity(self.spec, self.versions)
