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
                "dropout": torch.nn.Dropout1d(float(params["dropout"])),  # of whole channels, as there
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
        pads = [(kernel - 1) * dilation for dilation in dilations(shape.window, kernel)]
        states = windows.transpose(1, 2)  # (batch, features, window)
        for place, block in enumerate(network["blocks"]):
            read_later = min(shape.window, 1 + 2 * sum(pads[place + 1 :]))
            states = after_block(block, states, pad=pads[place], bars=read_later)
        return network["head"](states[:, :, -1])


def dilations(window: int, kernel: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ...: as many as it takes for the last bar to see all `window` bars."""
    found, seen = [1], 1 + 2 * (kernel - 1)
    while seen < window:
        found.append(2 * found[-1])
        seen += 2 * (kernel - 1) * found[-1]
    return tuple(found)


def after_block(block: Network, states: Tensor, *, pad: int, bars: int) -> Tensor:
    """Return the states of the last `bars` bars after one block, (batch, channels, bars).

    None sees a bar after its own, and none is computed that no later block reads. Before the first bar of the
    `states` (batch, channels, bars so far) there are zeros.
    """
    between = min(states.shape[2], bars + pad)
    new = block["dropout"](torch.relu(_convolved(block["first"], states, pad=pad, bars=between)))
    new = block["dropout"](torch.relu(_convolved(block["second"], new, pad=pad, bars=bars)))
    past = states[:, :, -bars:]
    return torch.relu(new + (block["past"](past) if "past" in block else past))


def _convolved(convolution: Network, states: Tensor, *, pad: int, bars: int) -> Tensor:
    """Return the last `bars` of a convolution that looks `pad` bars back, (batch, channels, bars)."""
    given = states[:, :, -(bars + pad) :]
    return convolution(torch.nn.functional.pad(given, (bars + pad - given.shape[2], 0)))


TRAINER = NetworkFamily(recipe=CNN1DRecipe())
