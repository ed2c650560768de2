"""A training loop as one writes it by hand for one network: what the host's loop is measured against.

No checkpoints, no reports, no limits, no deterministic kernels; the windows lie on the device, which is more
than most hand-written loops do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from executors.gpu.recipe import Recipe, Shape

VALID_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What the loop is given: standardised features and labels by panel row, and which rows to use."""

    matrix: NDArray[np.float32]
    labels: NDArray[np.float32]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    device: str
    precision: str


def train(plain: Plain, recipe: Recipe, shape: Shape, *, epochs: int) -> float:
    """Train a fresh network of the recipe for so many epochs; return the seconds they took."""
    device, batch_rows = plain.device, int(shape.params["batch_rows"])
    torch.manual_seed(0)
    network = recipe.network(shape).to(device)
    values = (
        torch.from_numpy(plain.matrix).to(device).unfold(0, shape.window, 1)
    )  # (windows, features, window)
    labels = torch.from_numpy(plain.labels).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=float(shape.params["learning_rate"]), fused=True)
    steps = epochs * -(-len(plain.train) // batch_rows)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, float(shape.params["learning_rate"]), steps)
    scaled = torch.autocast(device.split(":")[0], torch.bfloat16, enabled=plain.precision == "bfloat16")

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        windows = values[rows - shape.window + 1].transpose(1, 2)
        with scaled:
            answers = recipe.answers(network, windows, shape)
        return torch.nn.functional.mse_loss(answers[:, 0].float(), labels[rows])

    begun = time.perf_counter()
    for _ in range(epochs):
        network.train()
        order = torch.from_numpy(np.random.default_rng().permutation(plain.train)).to(device)
        for rows in order.split(batch_rows):
            optimiser.zero_grad()
            loss_of(rows).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            losses = [loss_of(rows) for rows in torch.from_numpy(plain.valid).to(device).split(VALID_ROWS)]
        float(torch.stack(losses).mean())  # the device is done when this is known
    return time.perf_counter() - begun
