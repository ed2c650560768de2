"""The one loop of learners that are a few arrays: step by step, stopped early, resumed to the same bits.

A learner draws nothing from a generator that lives on between steps: what is random in step k comes from
`session.seed("...", k)`, so its arrays are its whole state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.checkpoint import Checkpoint
from executors.session import Device, Session

Arrays = Mapping[str, NDArray[Any]]

ON_CPU = "a family of the CPU stage"


class Learner(Protocol):
    """What learns in steps: a pass, an iteration, a batch, whatever is done in about a second or less."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all there is to remember between steps, name -> array of at least one dimension."""
        ...

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned, bit for bit."""
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


def learn(
    session: Session, learner: Learner, device: Device, *, steps: int, patience: int | None = None
) -> Learned:
    """Do up to `steps` steps, fewer once the validation loss has not improved for `patience` of them.

    Raises:
        StopAsked: SIGTERM came; the state after the last step is saved.
    """
    loop = _Loop(session, learner)
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

    def __init__(self, session: Session, learner: Learner) -> None:
        self._session, self._learner = session, learner
        self.train: list[float] = []
        self.valid: list[float] = []
        self.best: Arrays = learner.model()
        self.best_step = 0

    @property
    def done(self) -> int:
        return len(self.train)

    def resume(self, found: Checkpoint | None) -> None:
        if found is None:
            return
        losses = json.loads(found.files["losses.json"])
        self.train, self.valid, self.best_step = losses["train"], losses["valid"], losses["best_step"]
        self._learner.restore(arrays_from_bytes(found.files["state.safetensors"]))
        self.best = arrays_from_bytes(found.files["best.safetensors"])

    def files(self) -> dict[str, bytes]:
        losses = {"train": self.train, "valid": self.valid, "best_step": self.best_step}
        return {
            "state.safetensors": bytes_from_arrays(_whole(self._learner.state())),
            "best.safetensors": bytes_from_arrays(_whole(self.best)),
            "losses.json": json.dumps(losses).encode(),
        }

    def step(self) -> None:
        train_loss, valid_loss = self._learner.step(self.done + 1)
        lowest = min(self.valid, default=float("inf"))
        self.train.append(train_loss)
        if valid_loss is not None:
            self.valid.append(valid_loss)
        if valid_loss is None or valid_loss < lowest:
            self.best = {name: array.copy() for name, array in self._learner.model().items()}
            self.best_step = self.done


def _whole(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the arrays in one piece each, as the format wants them."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
