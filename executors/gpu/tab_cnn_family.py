"""TabCNN: the row's features as tokens beside convolutions over its window, read out by one head.

Two sides. The tabular one turns each feature of the row's own bar into a token and lets the tokens meet
(`tokens`: Gorishniy et al., NeurIPS 2021; He and Chua, SIGIR 2017). The other one are the dilated causal
convolutions of CNN1D over the bars of the window (Bai, Kolter and Koltun, 2018). A head reads both. CNN1D has
the second side alone: a feature is a channel there that every kernel mixes with all others at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from executors.gpu.cnn_family import CNN1DRecipe
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.gpu.tokens import fused_head, meeting, met
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class TabCNNRecipe(SupervisedRecipe):
    """Tokens of the last bar that meet, the state CNN1D has after the window, and a head over both."""

    PARAMETERS: Mapping[str, Parameter] = {
        **CNN1DRecipe.PARAMETERS,
        "width": Parameter(default=16, low=1, high=8192),
    }

    def network(self, shape: Shape) -> Network:
        """Return both sides and the head with fresh weights from torch's generator."""
        width, dropout = int(shape.params["width"]), float(shape.params["dropout"])
        channels = int(shape.params["channels"])
        return torch.nn.ModuleDict(
            {
                "tabular": meeting(shape.features, width, dropout),
                "sequence": CNN1DRecipe().network(replace(shape, outputs=channels)),
                "head": fused_head(2 * width + channels, channels, shape.outputs, dropout),
            }
        )

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features)."""
        tabular = met(network["tabular"], windows[:, -1])
        sequence = torch.relu(CNN1DRecipe().answers(network["sequence"], windows, shape))
        return network["head"](torch.cat([tabular, sequence], dim=1))


TRAINER = NetworkFamily(recipe=TabCNNRecipe())
