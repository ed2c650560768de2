"""MLP: layers of rectified units on the row's own features (Rumelhart, Hinton and Williams, Nature 1986).

As it is set up for tables today: ReLU after each layer, dropout, AdamW (Gorishniy et al., Revisiting Deep
Learning Models for Tabular Data, NeurIPS 2021, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.constant_start import last_linear
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class MLPRecipe(SupervisedRecipe):
    """ReLU layers of one width, and a linear layer that reads them out."""

    PARAMETERS: Mapping[str, Parameter] = {
        "hidden": Parameter(default=128, low=1, high=65_536),
        "layers": Parameter(default=2, low=1, high=64),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "epochs": Parameter(default=20, low=1, high=10_000),
        "patience": Parameter(default=5, low=1, high=10_000),
    }

    def network(self, shape: Shape) -> Network:
        """Return the layers with fresh weights from torch's generator."""
        hidden, inputs = int(shape.params["hidden"]), shape.features
        layers: list[Network] = []
        for _ in range(int(shape.params["layers"])):
            dropout = torch.nn.Dropout(float(shape.params["dropout"]))
            layers += [torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), dropout]
            inputs = hidden
        return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, shape.outputs))

    def last_layer(self, network: Network) -> Network:
        """Return the last of the layers."""
        return last_linear(network)

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, 1, features)."""
        del shape
        return network(windows[:, -1])


TRAINER = NetworkFamily(recipe=MLPRecipe())
