"""The one loop that trains a network, able to stop after any batch and go on to the same bits.

Everything random is a function of the seed and the place: the order of the rows of the epoch, dropout and
noise of the step. What is left is saved: weights and buffers, optimisers, best weights so far, losses, how
many rows fit into the memory at once, and where we are.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from executors.checkpoint import Checkpoint
from executors.errors import BadInput
from executors.gpu.adamw import AdamW
from executors.gpu.batches import LabelledRows
from executors.gpu.memory import cuts, give_back, halved, is_out_of_memory
from executors.gpu.numerics import Numerics, compiled, say_not_compiled, seed_generators
from executors.gpu.recipe import Network, Recipe, Shape
from executors.gpu.schedule import rate_share
from executors.session import PROGRESS_SECONDS, Session

VALID_BATCH_ROWS = 1024

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


@dataclass(slots=True)
class Progress:
    """Where a training stands; with the tensors, all there is to its state.

    `step` counts the batches done in all, `loss_sum` adds up the losses of the epoch's rows so far,
    `loss_before` is the validation loss before the first step; the last two say how many rows are computed at
    once, 0 for as many as a batch has.
    """

    step: int = 0
    loss_sum: float = 0.0
    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)
    loss_before: float | None = None
    train_rows_at_once: int = 0
    valid_rows_at_once: int = 0

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.valid_losses)

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, from 1; 0 while none is better than the beginning."""
        if not self.valid_losses:
            return 0
        lowest = min(self.valid_losses)
        is_better = self.loss_before is None or lowest < self.loss_before
        return self.valid_losses.index(lowest) + 1 if is_better else 0


class TorchLoop:
    """Trains `network` on the training rows until the validation loss stops improving.

    Reads the settings of LOOP_PARAMETERS from the session. Each player of the recipe takes one step a batch,
    with an optimiser of its own.
    """

    def __init__(
        self,
        session: Session,
        recipe: Recipe,
        shape: Shape,
        network: Network,
        rows: LabelledRows,
        numerics: Numerics,
    ) -> None:
        params = session.params
        self._session, self._recipe, self._shape = session, recipe, shape
        self._network, self._rows, self._numerics = network, rows, numerics
        self._batches = cuts(len(session.data.train), int(params["batch_rows"]))  # of an epoch's order
        self.steps_total = int(params["epochs"]) * len(self._batches)
        self._optimisers = {
            player: AdamW(
                recipe.parameters(network, player),
                learning_rate=float(params["learning_rate"]),
                weight_decay=float(params["weight_decay"]),
            )
            for player in recipe.players
        }
        self._loss: Callable[..., Tensor] = compiled(recipe.loss) if numerics.compiles else recipe.loss
        self.is_compiled = numerics.compiles
        self._valid_places = rows.places_of(session.data.valid)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=numerics.device)
        self._told_at = -math.inf
        self._best = _copied(network)
        self.progress = Progress(
            train_rows_at_once=max(batch.stop - batch.start for batch in self._batches),
            valid_rows_at_once=VALID_BATCH_ROWS,
        )

    def resume(self, found: Checkpoint | None) -> None:
        """Take over the state a checkpoint holds; None leaves the beginning."""
        if found is None:
            return
        self._network.load_state_dict(tensors_from_bytes(found.files["weights.safetensors"]))
        self._best = tensors_from_bytes(found.files["best.safetensors"])
        for player, optimiser in self._optimisers.items():
            optimiser.restore(tensors_from_bytes(found.files[f"optimiser-{player}.safetensors"]))
        self.progress = Progress(**json.loads(found.files["state.json"]))

    def state_files(self) -> dict[str, bytes]:
        """Return the whole state as files; no pickle."""
        self.progress.loss_sum = float(self._loss_sum)
        values = {name: getattr(self.progress, name) for name in Progress.__dataclass_fields__}
        return {
            "weights.safetensors": bytes_from_tensors(_copied(self._network)),
            "best.safetensors": bytes_from_tensors(self._best),
            "state.json": json.dumps(values).encode(),
            **{
                f"optimiser-{player}.safetensors": bytes_from_tensors(optimiser.state())
                for player, optimiser in self._optimisers.items()
            },
        }

    def account(self) -> dict[str, Any]:
        """Return how it was computed, JSON-able; `rows_at_once` is less than a batch if memory ran out."""
        return {
            "precision": self._numerics.precision,
            "compiled": self.is_compiled,
            "batch_rows": max(batch.stop - batch.start for batch in self._batches),
            "rows_at_once": self.progress.train_rows_at_once,
        }

    def train(self) -> dict[str, Tensor]:
        """Train to the end and return the best epoch's weights, name -> tensor on the CPU.

        Raises:
            StopAsked: SIGTERM came; the state after the last batch is saved.
            BadInput: the loss became something that is no number.
            MemoryError: not even one row fits into the memory.
        """
        session, progress = self._session, self.progress
        self._loss_sum.fill_(progress.loss_sum)
        if progress.loss_before is None:
            progress.loss_before = self._valid_loss()
        order = self._order_of_epoch(progress.epoch)
        while not self._is_finished():
            places = self._rows.places_of(order)
            for batch in self._batches[progress.step - progress.epoch * len(self._batches) :]:
                session.stop_if_asked(progress.step, self.state_files)
                session.save_if_due(progress.step, self.state_files)
                self._train_batch(places[batch])
                self._tell(batch.stop)
            order = self._order_of_epoch(progress.epoch + 1)  # while a GPU still works on this one
            self._finish_epoch(len(order))
        return self._best

    def _is_finished(self) -> bool:
        progress, params = self.progress, self._session.params
        waited = progress.epoch - progress.best_epoch
        # A network that is not better than the constant yet may be on its way: the first epochs of a
        # sequence often make the loss worse. The constant is what remains when all epochs are over.
        has_given_up = progress.best_epoch > 0 and waited >= params["patience"]
        return progress.epoch >= params["epochs"] or has_given_up

    def _order_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        """Return the training rows in the order of this epoch: a function of seed and epoch."""
        shuffle = np.random.Generator(np.random.PCG64(self._session.seed("order", epoch)))
        return shuffle.permutation(self._session.data.train)

    def _train_batch(self, places: Tensor) -> None:
        """Let each player take its step on the rows at `places`; the last one's loss is the batch's."""
        params, number = self._session.params, self.progress.step + 1
        share = rate_share(number, steps=self.steps_total, warmup_share=float(params["warmup_share"]))
        self._network.train()
        for player, optimiser in self._optimisers.items():
            loss = self._with_gradients(player, optimiser, places)
            optimiser.clip(float(params["gradient_norm"]))
            optimiser.step(number, share)
        self._loss_sum += loss.double() * len(places)
        self.progress.step = number

    def _with_gradients(self, player: str, optimiser: AdamW, places: Tensor) -> Tensor:
        """Leave the gradients of the batch with the player's weights and return its loss, a scalar.

        When memory runs out, the batch is cut in two and computed part after part.
        """
        while True:
            try:
                return self._summed_gradients(player, optimiser, places)
            except RuntimeError as error:
                problem, no_memory = str(error), is_out_of_memory(error)
                if not no_memory and not self.is_compiled:
                    raise
            # Outside the handler: the error holds on to the frames, and they to the memory.
            optimiser.clear()
            if no_memory:
                self._halve("train_rows_at_once", problem)
            else:
                say_not_compiled(problem)
                self._loss, self.is_compiled = self._recipe.loss, False

    def _summed_gradients(self, player: str, optimiser: AdamW, places: Tensor) -> Tensor:
        seed = self._session.seed("dropout", self.progress.step, player)
        seed_generators(seed, device=self._numerics.device)
        parts = cuts(len(places), self.progress.train_rows_at_once)
        losses: list[Tensor] = []
        for part in parts:
            batch = self._rows.batch(places[part])
            with self._numerics.autocast():
                loss = self._loss(self._network, batch, player, self._shape)
            if len(parts) > 1:
                loss = loss * ((part.stop - part.start) / len(places))
            loss.backward(inputs=optimiser.parameters)
            losses.append(loss.detach())
        return losses[0] if len(parts) == 1 else torch.stack(losses).sum()

    def _tell(self, rows: int) -> None:
        """Report where we are, seldom: to read a loss, a GPU has to finish all that was asked of it."""
        now, progress = self._session.clock(), self.progress
        if now - self._told_at >= PROGRESS_SECONDS:
            self._told_at = now
            last_valid = progress.valid_losses[-1] if progress.valid_losses else None
            train_loss = float(self._loss_sum) / rows
            self._session.progress(progress.step, self.steps_total, train_loss, last_valid)

    def _finish_epoch(self, rows: int) -> None:
        progress = self.progress
        train_loss, valid_loss = float(self._loss_sum) / rows, self._valid_loss()
        if not math.isfinite(train_loss + valid_loss):
            problem = f"the loss is no longer a number after epoch {progress.epoch + 1}"
            fix = "lower its learning_rate or gradient_norm"
            raise BadInput(f"family {self._session.spec.family}", problem, fix)
        progress.train_losses.append(train_loss)
        progress.valid_losses.append(valid_loss)
        self._loss_sum.zero_()
        if progress.best_epoch == progress.epoch:
            self._best = _copied(self._network)

    def _valid_loss(self) -> float:
        """Return the mean loss of the prediction over the validation rows."""
        self._network.eval()
        while True:
            try:
                return self._mean_valid_loss()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                problem = str(error)
            self._halve("valid_rows_at_once", problem)

    def _mean_valid_loss(self) -> float:
        places = self._valid_places
        total = torch.zeros((2,), dtype=torch.float64, device=self._numerics.device)
        at_once = self.progress.valid_rows_at_once
        with torch.no_grad(), self._numerics.autocast():
            for begin in range(0, len(places), at_once):
                batch = self._rows.batch(places[begin : begin + at_once])
                losses = self._recipe.valid_losses(self._network, batch, self._shape).double()
                total += torch.stack([(losses * batch.weights).sum(), batch.weights.sum()])
        loss, weight = total.tolist()
        return float(loss / weight)

    def _halve(self, name: str, problem: str) -> None:
        device = self._numerics.device
        rows = halved(getattr(self.progress, name), device=device, problem=problem)
        setattr(self.progress, name, rows)
        give_back(device)
        doing = "training" if name == "train_rows_at_once" else "validation"
        sys.stderr.write(f"WARNING: memory of {device} ran out in {doing}; going on {rows} rows at a time\n")


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
