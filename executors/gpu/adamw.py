"""AdamW (Loshchilov and Hutter, ICLR 2019), with a state that is plain tensors.

torch's own optimisers import its compiler on first use, two seconds that a fit of two seconds cannot pay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_FIRST_DECAY, _SECOND_DECAY = 0.9, 0.999
_EPSILON = 1e-8


class AdamW:
    """Steps parameters against their gradients, with momentum, scaling by size, and decoupled decay."""

    def __init__(self, parameters: Iterable[Tensor], *, learning_rate: float, weight_decay: float) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._first: list[Tensor] = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._second: list[Tensor] = [torch.zeros_like(parameter) for parameter in self._parameters]

    def step(self, number: int) -> None:
        """Take the step with this `number`, from 1, by the gradients the parameters hold; clear them."""
        first_correction = 1.0 - _FIRST_DECAY**number
        second_correction = math.sqrt(1.0 - _SECOND_DECAY**number)
        with torch.no_grad():
            for parameter, first, second in zip(self._parameters, self._first, self._second, strict=True):
                gradient = parameter.grad
                parameter.mul_(1.0 - self._learning_rate * self._weight_decay)
                first.lerp_(gradient, 1.0 - _FIRST_DECAY)
                second.mul_(_SECOND_DECAY).addcmul_(gradient, gradient, value=1.0 - _SECOND_DECAY)
                size = (second.sqrt() / second_correction).add_(_EPSILON)
                parameter.addcdiv_(first, size, value=-self._learning_rate / first_correction)
                parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return all there is to remember between steps, copies on the CPU: name -> tensor."""
        named = {"first": self._first, "second": self._second}
        return {
            f"{name}.{place}": moment.cpu().clone()
            for name, moments in named.items()
            for place, moment in enumerate(moments)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for place in range(len(self._parameters)):
            self._first[place].copy_(state[f"first.{place}"])
            self._second[place].copy_(state[f"second.{place}"])
