"""TabLSTM: the row's features as tokens beside a recurrent network over its window, read out by one head.

Two sides. The tabular one turns each feature of the row's own bar into a token and lets the tokens meet
(`tokens`: Gorishniy et al., NeurIPS 2021; He and Chua, SIGIR 2017). The other one is the network of LSTM over
the bars of the window (Hochreiter and Schmidhuber, 1997). A head reads both. LSTM has the second side alone:
what the row's own bar says has to pass through the gates there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from executors.gpu.lstm_family import LSTMRecipe
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.gpu.tokens import fused_head, meeting, met
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class TabLSTMRecipe(SupervisedRecipe):
    """Tokens of the last bar that meet, the state LSTM has after the window, and a head over both."""

    PARAMETERS: Mapping[str, Parameter] = {
        **LSTMRecipe.PARAMETERS,
        "width": Parameter(default=16, low=1, high=8192),
    }

    compiles = False  # as LSTM: the recurrence is one kernel of cuDNN's already

    def network(self, shape: Shape) -> Network:
        """Return both sides and the head with fresh weights from torch's generator."""
        width, dropout = int(shape.params["width"]), float(shape.params["dropout"])
        hidden = int(shape.params["hidden"])
        return torch.nn.ModuleDict(
            {
                "tabular": meeting(shape.features, width, dropout),
                "sequence": LSTMRecipe().network(replace(shape, outputs=hidden)),
                "head": fused_head(2 * width + hidden, hidden, shape.outputs, dropout),
            }
        )

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features)."""
        tabular = met(network["tabular"], windows[:, -1])
        sequence = torch.relu(LSTMRecipe().answers(network["sequence"], windows, shape))
        return network["head"](torch.cat([tabular, sequence], dim=1))


TRAINER = NetworkFamily(recipe=TabLSTMRecipe())
