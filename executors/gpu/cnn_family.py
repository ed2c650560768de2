"""CNN1D: dilated causal convolutions over the last bars of each symbol.

The temporal convolutional network of Bai, Kolter and Koltun (An Empirical Evaluation of Generic
Convolutional and Recurrent Networks for Sequence Modeling, 2018), whose dilations are those of WaveNet (van
den Oord et al., 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class CNN1DRecipe(SupervisedRecipe):
    """Residual blocks of two convolutions each, the dilation doubling from block to block.

    A block more is added until the last bar's state has seen the whole window.
    """

    PARAMETERS: Mapping[str, Parameter] = {
        "window": Parameter(default=20, low=2, high=10_000),
        "channels": Parameter(default=32, low=1, high=8192),
        "kernel": Parameter(default=3, low=2, high=64),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "epochs": Parameter(default=12, low=1, high=10_000),
        "patience": Parameter(default=4, low=1, high=10_000),
    }

    def network(self, shape: Shape) -> Network:
        """Return the blocks and the head with fresh weights from torch's generator."""
        params, inputs = shape.params, shape.features
        channels, kernel = int(params["channels"]), int(params["kernel"])
        blocks: list[Network] = []
        for dilation in dilations(shape.window, kernel):
            pieces = {
                "first": torch.nn.Conv1d(inputs, channels, kernel, dilation=dilation),
                "second": torch.nn.Conv1d(channels, channels, kernel, dilation=dilation),
                "dropout": torch.nn.Dropout(float(params["dropout"])),
            }
            if inputs != channels:
                pieces["past"] = torch.nn.Conv1d(inputs, channels, 1)
            blocks.append(torch.nn.ModuleDict(pieces))
            inputs = channels
        head = torch.nn.Linear(channels, shape.outputs)
        return torch.nn.ModuleDict({"blocks": torch.nn.ModuleList(blocks), "head": head})

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return answers (batch, outputs) for `windows` (batch, window, features): the last bar's state."""
        kernel = int(shape.params["kernel"])
        states = windows.transpose(1, 2)  # (batch, features, window)
        for block, dilation in zip(network["blocks"], dilations(shape.window, kernel), strict=True):
            states = _after(block, states, pad=(kernel - 1) * dilation)
        return network["head"](states[:, :, -1])


def dilations(window: int, kernel: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ...: as many as it takes for the last bar to see all `window` bars."""
    found, seen = [1], 1 + 2 * (kernel - 1)
    while seen < window:
        found.append(2 * found[-1])
        seen += 2 * (kernel - 1) * found[-1]
    return tuple(found)


def _after(block: Network, states: Tensor, *, pad: int) -> Tensor:
    """Return the states after one block, (batch, channels, window): none sees a bar after its own."""
    new = states
    for name in ("first", "second"):
        padded = torch.nn.functional.pad(new, (pad, 0))
        new = block["dropout"](torch.relu(block[name](padded)))
    past = block["past"](states) if "past" in block else states
    return torch.relu(new + past)


TRAINER = NetworkFamily(recipe=CNN1DRecipe())
