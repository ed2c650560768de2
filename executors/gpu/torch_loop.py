"""The one loop that trains a network on windows, able to stop after any batch and go on to the same bits.

Everything random is a function of the seed and the place: the order of the rows of the epoch, dropout of the
step. What is left is saved: weights, optimiser, best weights so far, losses, and where we are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from executors.checkpoint import Checkpoint
from executors.gpu.adamw import AdamW
from executors.session import Session

_VALID_BATCH = 1024
_LARGEST_GRADIENT = 1.0

Tensor = Any  # torch is not followed by the type checker; the names say what is meant
Network = Any

Forward = Callable[[Network, Tensor], Tensor]
"""(network, windows (batch, window, features)) -> answers (batch, outputs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatches:
    """Windows of one standardised matrix on a device, gathered batch by batch.

    The matrix (rows, features) float32 holds consecutive panel rows beginning with row `first_row`; `flat`
    views it as (rows - window + 1, window * features), overlapping, without a copy.
    """

    flat: Tensor
    window: int
    first_row: int

    @classmethod
    def of(cls, matrix: NDArray[np.float32], *, window: int, first_row: int, device: str) -> WindowBatches:
        """Move `matrix` to `device` and view its windows."""
        values = torch.from_numpy(np.ascontiguousarray(matrix)).to(device)
        rows, features = values.shape
        flat = torch.as_strided(values, (rows - window + 1, window * features), (features, 1))
        return cls(flat=flat, window=window, first_row=first_row)

    def at(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the windows that end at the panel rows `rows`, (rows, window, features)."""
        begins = torch.from_numpy(rows - self.first_row - self.window + 1).to(self.flat.device)
        return self.flat.index_select(0, begins).view(len(rows), self.window, -1)


@dataclass(slots=True)
class Progress:
    """Where a training stands; with the tensors, all there is to its state.

    `step` counts the batches done in all, `loss_sum` adds up the losses of the epoch's rows so far.
    """

    step: int = 0
    loss_sum: float = 0.0
    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.valid_losses)

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, from 1; 0 before any."""
        return self.valid_losses.index(min(self.valid_losses)) + 1 if self.valid_losses else 0


class TorchLoop:
    """Trains `network` on the training rows until the validation loss stops improving.

    Reads the settings epochs, patience, batch_rows, learning_rate and weight_decay of the session.
    """

    def __init__(
        self,
        session: Session,
        network: Network,
        forward: Forward,
        batches: WindowBatches,
    ) -> None:
        data, params = session.data, session.params
        self._session = session
        self._network = network
        self._forward = forward
        self._batches = batches
        self._device = batches.flat.device
        self._labels = torch.from_numpy(_labels_by_row(session)).to(self._device)
        self._batch_rows = int(params["batch_rows"])
        self._epochs = int(params["epochs"])
        self._steps_per_epoch = math.ceil(len(data.train) / self._batch_rows)
        self._optimiser = AdamW(
            network.parameters(),
            learning_rate=float(params["learning_rate"]),
            weight_decay=float(params["weight_decay"]),
        )
        self._best = _copied(network)
        self.progress = Progress()

    def resume(self, found: Checkpoint | None) -> None:
        """Take over the state a checkpoint holds; None leaves the beginning."""
        if found is None:
            return
        self._network.load_state_dict(tensors_from_bytes(found.files["weights.safetensors"]))
        self._best = tensors_from_bytes(found.files["best.safetensors"])
        self._optimiser.restore(tensors_from_bytes(found.files["optimiser.safetensors"]))
        self.progress = Progress(**json.loads(found.files["state.json"]))

    def state_files(self) -> dict[str, bytes]:
        """Return the whole state as files; no pickle."""
        progress = self.progress
        values = {name: getattr(progress, name) for name in Progress.__dataclass_fields__}
        return {
            "weights.safetensors": bytes_from_tensors(_copied(self._network)),
            "best.safetensors": bytes_from_tensors(self._best),
            "optimiser.safetensors": bytes_from_tensors(self._optimiser.state()),
            "state.json": json.dumps(values).encode(),
        }

    def train(self) -> dict[str, Tensor]:
        """Train to the end and return the best epoch's weights, name -> tensor on the CPU.

        Raises:
            StopAsked: SIGTERM came; the state after the last batch is saved.
        """
        session, progress = self._session, self.progress
        while not self._is_finished():
            order = self._order_of_epoch(progress.epoch)
            for place in range(progress.step - progress.epoch * self._steps_per_epoch, self._steps_per_epoch):
                session.stop_if_asked(progress.step, self.state_files)
                session.save_if_due(progress.step, self.state_files)
                self._train_batch(order[place * self._batch_rows : (place + 1) * self._batch_rows])
                train_loss = progress.loss_sum / min(len(order), (place + 1) * self._batch_rows)
                last_valid = progress.valid_losses[-1] if progress.valid_losses else None
                session.progress(progress.step, self._epochs * self._steps_per_epoch, train_loss, last_valid)
            self._finish_epoch(len(order))
        return self._best

    def _is_finished(self) -> bool:
        waited = self.progress.epoch - self.progress.best_epoch
        return self.progress.epoch >= self._epochs or waited >= self._session.params["patience"]

    def _order_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        """Return the training rows in the order of this epoch: a function of seed and epoch."""
        shuffle = np.random.Generator(np.random.PCG64(self._session.seed("order", epoch)))
        return shuffle.permutation(self._session.data.train)

    def _train_batch(self, rows: NDArray[np.int64]) -> None:
        torch.manual_seed(self._session.seed("dropout", self.progress.step))
        self._network.train()
        answers = self._forward(self._network, self._batches.at(rows))
        loss = self._loss(answers, rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LARGEST_GRADIENT)
        self.progress.step += 1
        self._optimiser.step(self.progress.step)
        self.progress.loss_sum += float(loss.item()) * len(rows)

    def _finish_epoch(self, rows: int) -> None:
        progress = self.progress
        progress.train_losses.append(progress.loss_sum / rows)
        progress.valid_losses.append(self._valid_loss())
        progress.loss_sum = 0.0
        if progress.best_epoch == progress.epoch:
            self._best = _copied(self._network)

    def _valid_loss(self) -> float:
        self._network.eval()
        rows = self._session.data.valid
        total = 0.0
        with torch.no_grad():
            for begin in range(0, len(rows), _VALID_BATCH):
                batch = rows[begin : begin + _VALID_BATCH]
                answers = self._forward(self._network, self._batches.at(batch))
                total += float(self._loss(answers, batch).item()) * len(batch)
        return total / len(rows)

    def _loss(self, answers: Tensor, rows: NDArray[np.int64]) -> Tensor:
        labels = self._labels[torch.from_numpy(rows).to(self._device)]
        task = self._session.data.code.task
        if task == "regression":
            return torch.nn.functional.mse_loss(answers[:, 0], labels)
        if task == "binary":
            return torch.nn.functional.binary_cross_entropy_with_logits(answers[:, 0], labels)
        return torch.nn.functional.cross_entropy(answers, labels.long())


def _labels_by_row(session: Session) -> NDArray[np.float32]:
    """Return encoded labels by panel row, (panel rows,) float32; rows that are not ours hold 0."""
    labels = np.zeros(session.data.panel.rows, dtype=np.float32)
    for rows in (session.data.train, session.data.valid):
        labels[rows] = session.data.encoded_at(rows)
    return labels


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
