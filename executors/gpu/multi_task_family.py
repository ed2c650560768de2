"""MultiTask: several targets of the plan learnt by one trunk with a head each (Caruana, 1997).

What the targets have in common is learnt from the labels of all of them. Their losses are weighted by learnt
uncertainty, one number s per target (Kendall, Gal and Cipolla, CVPR 2018): squared error x exp(-s) / 2 + s /
2, cross entropy x exp(-s) + s / 2; with learnt_uncertainty = 0 all count the same. A label that is missing,
or that would not have been known in time (see `shared_targets`), is left out of its target's loss. Early
stopping looks at the fit's own target alone, and only its head predicts. The rows' weights are those of the
own target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.constant_start import last_linear
from executors.gpu.losses import row_losses, weighted
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Batch, Network, Shape
from executors.gpu.shared_targets import further_targets
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class MultiTaskRecipe(SupervisedRecipe):
    """The recipe: head 0 is the fit's own target's, the others follow in the order of `shape.others`."""

    PARAMETERS: Mapping[str, Parameter] = {
        "hidden": Parameter(default=128, low=1, high=8192),
        "head_hidden": Parameter(default=32, low=1, high=8192),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "learnt_uncertainty": Parameter(default=1, low=0, high=1),
        "epochs": Parameter(default=20, low=1, high=10_000),
        "patience": Parameter(default=5, low=1, high=10_000),
    }

    def network(self, shape: Shape) -> Network:
        """Return trunk and heads, and the targets' log variances where they are learnt."""
        hidden, dropout = int(shape.params["hidden"]), float(shape.params["dropout"])
        inner = int(shape.params["head_hidden"])
        counts = [shape.outputs, *(outputs for _, outputs in shape.others)]
        network = torch.nn.ModuleDict(
            {
                "trunk": torch.nn.Sequential(
                    *_layer(shape.features, hidden, dropout), *_layer(hidden, hidden, dropout)
                ),
                "heads": torch.nn.ModuleList(
                    torch.nn.Sequential(*_layer(hidden, inner, dropout), torch.nn.Linear(inner, count))
                    for count in counts
                ),
            }
        )
        if shape.params["learnt_uncertainty"]:
            network.register_parameter("log_variances", torch.nn.Parameter(torch.zeros(len(counts))))
        return network

    def loss(self, network: Network, batch: Batch, player: str, shape: Shape) -> Tensor:
        """Return the losses of all targets, weighed against each other, as a mean over the targets."""
        del player
        shared = network["trunk"](batch.windows[:, -1])
        own = row_losses(network["heads"][0](shared).float(), batch.labels, shape.task)
        losses = [weighted(own, batch.weights)]
        for place, (task, _) in enumerate(shape.others):
            answers = network["heads"][place + 1](shared).float()
            losses.append(masked_loss(answers, batch.others[:, place], batch.weights, task))
        if not shape.params["learnt_uncertainty"]:
            return torch.stack(losses).mean()
        tasks = (shape.task, *(task for task, _ in shape.others))
        halves = torch.tensor([0.5 if task == "regression" else 1.0 for task in tasks])
        learnt = network.log_variances
        return (halves.to(learnt) * torch.stack(losses) * torch.exp(-learnt) + 0.5 * learnt).mean()

    def last_layer(self, network: Network) -> Network:
        """Return the last layer of the own target's head."""
        return last_linear(network["heads"][0])

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return the answers of the own target's head, (batch, outputs)."""
        del shape
        return network["heads"][0](network["trunk"](windows[:, -1]))


def masked_loss(answers: Tensor, labels: Tensor, weights: Tensor, task: str) -> Tensor:
    """Return the weighted mean loss over the rows whose label is known, 0 where none is.

    `answers` (batch, outputs), `labels` (batch,) with NaN where unknown, `weights` (batch,).
    """
    is_known = torch.isfinite(labels)
    # The unknown are replaced before the loss: NaN x 0 would still be NaN in the gradient.
    losses = row_losses(answers, torch.where(is_known, labels, torch.zeros_like(labels)), task)
    return (losses * weights * is_known).sum() / is_known.sum().clamp(min=1)


def _layer(inputs: int, outputs: int, dropout: float) -> tuple[Network, ...]:
    return torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(dropout)


TRAINER = NetworkFamily(recipe=MultiTaskRecipe(), further=further_targets)
