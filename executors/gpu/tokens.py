"""Features as tokens: every feature of a row is a vector of its own, and the vectors speak to each other.

What makes the Tab families tabular. A numerical token is the feature's value times a vector of its own plus
another one (the feature tokenizer of the FT-Transformer; Gorishniy et al., Revisiting Deep Learning Models
for Tabular Data, NeurIPS 2021), bent by a ReLU (On Embeddings for Numerical Features, NeurIPS 2022, section
3.3).
"""

from __future__ import annotations

from typing import Any

import torch

from executors.errors import BadInput
from executors.gpu.recipe import Network, Shape

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


def tokenizer(features: int, width: int) -> Network:
    """Return fresh vectors of `features` tokens, `slopes` and `offsets` (features, width) each."""
    made = {name: torch.empty(features, width).uniform_(-1.0, 1.0) for name in ("slopes", "offsets")}
    return torch.nn.ParameterDict({name: torch.nn.Parameter(values) for name, values in made.items()})


def tokens_of(maker: Network, rows: Tensor) -> Tensor:
    """Return the tokens of `rows` (batch, features), (batch, features, width): before they are bent."""
    return rows[:, :, None] * maker["slopes"] + maker["offsets"]


def meeting(features: int, width: int, dropout: float) -> Network:
    """Return a fresh tabular side: tokens that meet in pairs, and a layer over all of them."""
    return torch.nn.ModuleDict(
        {
            "tokenizer": tokenizer(features, width),
            "all": torch.nn.Linear(features * width, width),
            "dropout": torch.nn.Dropout(dropout),
        }
    )


def met(side: Network, rows: Tensor) -> Tensor:
    """Return what the tabular side makes of `rows` (batch, features), (batch, 2 x width).

    The first half is the sum over all pairs of tokens of their products, the bi-interaction of neural
    factorisation machines (He and Chua, SIGIR 2017), for the number of features and not of pairs:
    ((sum)^2 - sum of squares) / 2, here divided by the number of features to stay about 1 in size. The second
    half is a layer over the tokens side by side.
    """
    tokens = tokens_of(side["tokenizer"], rows)
    pairs = (torch.square(tokens.sum(dim=1)) - torch.square(tokens).sum(dim=1)) / (2 * tokens.shape[1])
    alone = torch.relu(side["all"](torch.relu(tokens).flatten(start_dim=1)))
    return side["dropout"](torch.cat([pairs, alone], dim=1))


def fused_head(inputs: int, hidden: int, outputs: int, dropout: float) -> Network:
    """Return a fresh head over both sides put side by side, (batch, inputs) -> (batch, outputs)."""
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden),
        torch.nn.ReLU(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(hidden, outputs),
    )


def attention_block(width: int) -> Network:
    """Return a fresh pre-norm block of attention over tokens and a layer on each (Vaswani et al., 2017)."""
    return torch.nn.ModuleDict(
        {
            "before_attention": torch.nn.LayerNorm(width),
            "asked": torch.nn.Linear(width, 3 * width),
            "told": torch.nn.Linear(width, width),
            "feed": torch.nn.Sequential(
                torch.nn.LayerNorm(width),
                torch.nn.Linear(width, 2 * width),
                torch.nn.GELU(),
                torch.nn.Linear(2 * width, width),
            ),
        }
    )


def attended(block: Network, tokens: Tensor, heads: int, dropout: Network) -> Tensor:
    """Return the tokens (batch, tokens, width) after one block in which each hears all of them."""
    batch, count, width = tokens.shape
    asked = block["asked"](block["before_attention"](tokens))
    parts = asked.view(batch, count, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    heard = torch.nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
    tokens = tokens + dropout(block["told"](heard.transpose(1, 2).reshape(batch, count, width)))
    return tokens + dropout(block["feed"](tokens))


def heads_of(shape: Shape, family: str) -> int:
    """Return the number of attention heads the settings ask for.

    Raises:
        BadInput: the width cannot be shared evenly by them.
    """
    width, heads = int(shape.params["width"]), int(shape.params["heads"])
    if width % heads:
        problem = f"{width} cannot be shared evenly by {heads} heads"
        raise BadInput(f"parameter width of {family}", problem, "make it a multiple of heads")
    return heads
