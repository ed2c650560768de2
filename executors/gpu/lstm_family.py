"""LSTM: a recurrent network over the last rows of each symbol (Hochreiter and Schmidhuber, 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class LSTMRecipe(SupervisedRecipe):
    """The state after the row's own bar, read out by one linear layer."""

    PARAMETERS: Mapping[str, Parameter] = {
        "window": Parameter(default=20, low=2, high=10_000),
        "hidden": Parameter(default=32, low=1, high=8192),
        "layers": Parameter(default=1, low=1, high=8),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "epochs": Parameter(default=20, low=1, high=10_000),
        "patience": Parameter(default=5, low=1, high=10_000),
        "learning_rate": Parameter(default=5e-3, low=1e-7, high=1.0),
    }
    compiles = False  # the whole recurrence is one kernel of cuDNN's already

    def network(self, shape: Shape) -> Network:
        """Return the recurrence and its head with fresh weights from torch's generator."""
        hidden, layers = int(shape.params["hidden"]), int(shape.params["layers"])
        dropout = float(shape.params["dropout"])
        between = dropout if layers > 1 else 0.0
        return torch.nn.ModuleDict(
            {
                "lstm": torch.nn.LSTM(shape.features, hidden, layers, batch_first=True, dropout=between),
                "dropout": torch.nn.Dropout(dropout),
                "head": torch.nn.Linear(hidden, shape.outputs),
            }
        )

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features)."""
        del shape
        states, _ = network["lstm"](windows)  # (batch, window, hidden)
        return network["head"](network["dropout"](states[:, -1]))


TRAINER = NetworkFamily(recipe=LSTMRecipe())
