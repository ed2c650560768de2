"""Transformer: attention over the last bars of each symbol (Vaswani et al., Attention Is All You Need, 2017).

An encoder whose tokens are bars. Their places in the window are learnt, and the token of the row's own bar,
the last one, is read out. Norms stand before each part (Xiong et al., On Layer Normalization, ICML 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.errors import BadInput
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_START = 0.02  # standard deviation of fresh places, as in BERT


class TransformerRecipe(SupervisedRecipe):
    """Bars to tokens, layers of attention and feed-forward parts, the last token to the answer."""

    PARAMETERS: Mapping[str, Parameter] = {
        "window": Parameter(default=20, low=2, high=10_000),
        "width": Parameter(default=32, low=1, high=8192),
        "heads": Parameter(default=2, low=1, high=256),
        "layers": Parameter(default=2, low=1, high=64),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "epochs": Parameter(default=12, low=1, high=10_000),
        "patience": Parameter(default=4, low=1, high=10_000),
        "learning_rate": Parameter(default=2e-3, low=1e-7, high=1.0),
        "warmup_share": Parameter(default=0.1, low=0.0, high=0.9),
    }

    def network(self, shape: Shape) -> Network:
        """Return the encoder with fresh weights from torch's generator.

        Raises:
            BadInput: the width cannot be shared evenly by the heads.
        """
        params, width = shape.params, int(shape.params["width"])
        if width % int(params["heads"]):
            problem = f"{width} cannot be shared evenly by {params['heads']} heads"
            raise BadInput("parameter width of Transformer", problem, "make it a multiple of heads")
        return torch.nn.ModuleDict(
            {
                "bar": torch.nn.Linear(shape.features, width),
                "places": torch.nn.Embedding(shape.window, width),
                "dropout": torch.nn.Dropout(float(params["dropout"])),
                "layers": torch.nn.ModuleList(_layer(width) for _ in range(int(params["layers"]))),
                "norm": torch.nn.LayerNorm(width),
                "head": torch.nn.Linear(width, shape.outputs),
            }
        )

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features)."""
        heads, dropout, layers = int(shape.params["heads"]), network["dropout"], network["layers"]
        tokens = dropout(network["bar"](windows) + network["places"].weight)
        for number, layer in enumerate(layers, start=1):
            told = _told(layer, tokens, heads, askers=1 if number == len(layers) else shape.window)
            tokens = tokens[:, -told.shape[1] :] + dropout(told)
            tokens = tokens + dropout(layer["feed"](tokens))
        return network["head"](network["norm"](tokens[:, -1]))


def _layer(width: int) -> Network:
    return torch.nn.ModuleDict(
        {
            "norm": torch.nn.LayerNorm(width),
            "queries": torch.nn.Linear(width, width),
            "keys_values": torch.nn.Linear(width, 2 * width),
            "told": torch.nn.Linear(width, width),
            "feed": torch.nn.Sequential(
                torch.nn.LayerNorm(width),
                torch.nn.Linear(width, 4 * width),
                torch.nn.ReLU(),
                torch.nn.Linear(4 * width, width),
            ),
        }
    )


def _told(layer: Network, tokens: Tensor, heads: int, *, askers: int) -> Tensor:
    """Return what the last `askers` tokens are told by all of their window, (batch, askers, width).

    Of the last layer only the last token is read, so that only it need ask.
    """
    batch, window, width = tokens.shape
    normed = layer["norm"](tokens)
    queries = layer["queries"](normed[:, -askers:]).view(batch, askers, heads, -1).transpose(1, 2)
    both = layer["keys_values"](normed).view(batch, window, 2, heads, -1).permute(2, 0, 3, 1, 4)
    heard = torch.nn.functional.scaled_dot_product_attention(queries, both[0], both[1])
    return layer["told"](heard.transpose(1, 2).reshape(batch, askers, width))


TRAINER = NetworkFamily(recipe=TransformerRecipe())
