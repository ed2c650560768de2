"""TabTransformer: attention across the row's features, each of which brings its own recent past.

A token per feature, as in TabTransformer (Huang et al., TabTransformer: Tabular Data Modeling Using
Contextual Embeddings, 2020) with numerical tokens and a readout token (FT-Transformer; Gorishniy et al.,
NeurIPS 2021). A token is made of the feature's value in the row's own bar and of a small network, its own
for each feature, over the feature's bars in the window, as series become tokens in iTransformer (Liu et al.,
ICLR 2024). Layers of attention let the features hear each other. The family Transformer is the other way
round: its tokens are bars, each a mixture of all features, and its attention goes across time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.gpu.tokens import attended, attention_block, heads_of, tokenizer, tokens_of
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_START = 0.02  # standard deviation of the fresh readout token, as in BERT


class TabTransformerRecipe(SupervisedRecipe):
    """Features with their windows to tokens, attention across features, the readout token to the answer."""

    PARAMETERS: Mapping[str, Parameter] = {
        "window": Parameter(default=20, low=2, high=10_000),
        "width": Parameter(default=32, low=1, high=8192),
        "heads": Parameter(default=4, low=1, high=256),
        "layers": Parameter(default=2, low=1, high=64),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "learning_rate": Parameter(default=4e-3, low=1e-7, high=1.0),
        "warmup_share": Parameter(default=0.1, low=0.0, high=0.9),
    }

    def network(self, shape: Shape) -> Network:
        """Return tokenizers, layers and head with fresh weights from torch's generator.

        Raises:
            BadInput: the width cannot be shared evenly by the heads.
        """
        heads_of(shape, "TabTransformer")
        width = int(shape.params["width"])
        bound = 1.0 / math.sqrt(shape.window)
        past = torch.empty(shape.features, shape.window, width).uniform_(-bound, bound)
        network = torch.nn.ModuleDict(
            {
                "tokenizer": tokenizer(shape.features, width),
                "of_past": torch.nn.Linear(width, width),
                "layers": torch.nn.ModuleList(
                    attention_block(width) for _ in range(int(shape.params["layers"]))
                ),
                "norm": torch.nn.LayerNorm(width),
                "dropout": torch.nn.Dropout(float(shape.params["dropout"])),
                "head": torch.nn.Linear(width, shape.outputs),
            }
        )
        network.register_parameter("past", torch.nn.Parameter(past))
        network.register_parameter("readout", torch.nn.Parameter(_START * torch.randn(1, 1, width)))
        return network

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features)."""
        readout = network.readout.expand(windows.shape[0], -1, -1)
        tokens = torch.cat([readout, feature_tokens(network, windows)], dim=1)
        heads = heads_of(shape, "TabTransformer")
        for layer in network["layers"]:
            tokens = attended(layer, tokens, heads, network["dropout"])
        return network["head"](network["norm"](tokens[:, 0]))


def feature_tokens(network: Network, windows: Tensor) -> Tensor:
    """Return one token per feature of `windows` (batch, window, features), (batch, features, width)."""
    now = tokens_of(network["tokenizer"], windows[:, -1])
    past = torch.einsum("bwf,fwd->bfd", windows, network.past)
    return now + network["of_past"](torch.relu(past))


TRAINER = NetworkFamily(recipe=TabTransformerRecipe())
