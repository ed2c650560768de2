"""A network begins as the constant forecast, so that its first epochs only ever have to be better than that.

The last layer starts with weights of zero and the bias of the best forecast that is the same for all rows;
the other layers are random as ever, and from the second step on all of them learn (last layers of zeros:
Goyal et al., 2017; Zhang, Dauphin and Ma, ICLR 2019). The loop counts this beginning as epoch 0: where no
epoch is better on the validation rows, the model is the constant, and noise is not praised.
"""

from __future__ import annotations

from typing import Any

import torch

from executors.cpu.links import constant_scores
from executors.gpu.recipe import Network, Recipe
from executors.session import Session

Layer = Any  # torch is not followed by the type checker; the name says what is meant


def begin_at_constant(recipe: Recipe, network: Network, session: Session) -> None:
    """Set the last layer of `network`, where its recipe names one; others begin as their recipe says."""
    find = getattr(recipe, "last_layer", None)
    if find is None:
        return
    layer: Layer = find(network)
    data = session.data
    scores = constant_scores(
        data.code.task, data.code.outputs, data.encoded_at(data.train), session.weights()
    )
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.from_numpy(scores).to(layer.bias.dtype))


def last_linear(part: Network) -> Layer:
    """Return the last linear layer of `part`."""
    return [layer for layer in part.modules() if isinstance(layer, torch.nn.Linear)][-1]
