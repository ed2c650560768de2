"""The one loop of learners that are a few arrays: step by step, stopped early, resumed to the same bits.

A learner draws nothing from a generator that lives on between steps: what is random in step k comes from
`session.seed("...", k)`, so its arrays are its whole state.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays
from threadpoolctl import threadpool_limits

from executors.checkpoint import Checkpoint
from executors.errors import BadInput
from executors.session import Device, Session

Arrays = Mapping[str, NDArray[Any]]

ON_CPU = "a family of the CPU stage"


class Learner(Protocol):
    """What learns in steps: a pass, an iteration, a batch, whatever is done in about a second or less."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all there is to remember between steps, name -> array of at least one dimension."""
        ...

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned, bit for bit; the arrays are new and may be written to."""
        ...

    def step(self, number: int) -> tuple[float, float | None]:
        """Do the step with this `number`, from 1; return (training loss, validation loss or None).

        A validation loss None says that no step is better than the last one.
        """
        ...

    def model(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that predict, as they are after the last step."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came out: the arrays of the best step, and the losses after each."""

    model: Arrays
    train_losses: tuple[float, ...]
    valid_losses: tuple[float, ...]
    best_step: int

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.train_losses)

    @property
    def curve(self) -> dict[str, list[float]]:
        """The losses as a bundle's card has them."""
        return {"train_loss": list(self.train_losses), "valid_loss": list(self.valid_losses)}


def cpu_device(family: str) -> Device:
    """Return the device of a family of the CPU stage."""
    return Device(used="cpu", reason=f"{family} is {ON_CPU}")


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a block inside which products of matrices are made by one thread.

    How two threads share a product decides its last bits, and a fit may be resumed with another number.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def learn(
    session: Session,
    learner: Learner,
    device: Device,
    *,
    steps: int,
    patience: int | None = None,
    loss_before: float | None = None,
) -> Learned:
    """Do up to `steps` steps, fewer once the validation loss has not improved for `patience` of them.

    `loss_before` is the validation loss of the learner as it comes; where no step is below it, that is the
    model (best_step 0). None takes the first step as the first model.

    Raises:
        StopAsked: SIGTERM came; the state after the last step is saved.
        BadInput: a loss is no finite number any more.
    """
    loop = _Loop(session, learner, loss_before)
    with one_blas_thread():
        loop.resume(session.begin(device))
        while loop.done < steps and (patience is None or loop.done - loop.best_step < patience):
            session.stop_if_asked(loop.done, loop.files)
            session.save_if_due(loop.done, loop.files)
            loop.step()
            session.progress(loop.done, steps, loop.train[-1], loop.valid[-1] if loop.valid else None)
    return Learned(
        model=loop.best,
        train_losses=tuple(loop.train),
        valid_losses=tuple(loop.valid),
        best_step=loop.best_step,
    )


class _Loop:
    """The state of a learner under way: its own, that of its best step, and the losses."""

    def __init__(self, session: Session, learner: Learner, loss_before: float | None) -> None:
        self._session, self._learner = session, learner
        self.train: list[float] = []
        self.valid: list[float] = []
        self.best: Arrays = _copied(learner.model())
        self.best_step = 0
        self._lowest = math.inf if loss_before is None else loss_before

    @property
    def done(self) -> int:
        return len(self.train)

    def resume(self, found: Checkpoint | None) -> None:
        if found is None:
            return
        losses = json.loads(found.files["losses.json"])
        self.train, self.valid, self.best_step = losses["train"], losses["valid"], losses["best_step"]
        # Copied, because the arrays of the file can neither be written to nor begin where the machine likes.
        self._learner.restore(_copied(arrays_from_bytes(found.files["state.safetensors"])))
        self.best = _copied(arrays_from_bytes(found.files["best.safetensors"]))
        self._lowest = min((self._lowest, *self.valid))

    def files(self) -> dict[str, bytes]:
        losses = {"train": self.train, "valid": self.valid, "best_step": self.best_step}
        return {
            "state.safetensors": bytes_from_arrays(_whole(self._learner.state())),
            "best.safetensors": bytes_from_arrays(_whole(self.best)),
            "losses.json": json.dumps(losses).encode(),
        }

    def step(self) -> None:
        number = self.done + 1
        train_loss, valid_loss = self._learner.step(number)
        self._refuse_endless(number, train_loss, valid_loss)
        self.train.append(float(train_loss))
        if valid_loss is not None:
            self.valid.append(float(valid_loss))
        if valid_loss is None or valid_loss < self._lowest:
            self._lowest = self._lowest if valid_loss is None else float(valid_loss)
            self.best = _copied(self._learner.model())
            self.best_step = number

    def _refuse_endless(self, number: int, *losses: float | None) -> None:
        """Refuse to go on from arrays that have left the numbers: nothing comes back from there."""
        if not all(loss is None or math.isfinite(loss) for loss in losses):
            spec = self._session.spec
            problem = f"the loss is no finite number after step {number}"
            raise BadInput(f"{spec.family} on {spec.target}", problem, "take a smaller learning rate")


def _copied(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name: array.copy() for name, array in arrays.items()}


def _whole(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the arrays in one piece each, as the format wants them."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
