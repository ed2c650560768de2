"""AdamW (Loshchilov and Hutter, ICLR 2019), with a state that is plain tensors.

torch's own optimisers import its compiler on first use, two seconds that a fit of two seconds cannot pay; the
kernel under them, one call for all weights, is there without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_FIRST_DECAY, _SECOND_DECAY = 0.9, 0.999
_EPSILON = 1e-8


class AdamW:
    """Steps parameters against their gradients, with momentum, scaling by size, and decoupled decay."""

    def __init__(self, parameters: Iterable[Tensor], *, learning_rate: float, weight_decay: float) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._first: list[Tensor] = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._number: Tensor = torch.zeros((), device=self.parameters[0].device)
        self._second: list[Tensor] = [torch.zeros_like(parameter) for parameter in self.parameters]

    def clip(self, largest_norm: float) -> None:
        """Scale the gradients so that their norm is at most `largest_norm` (Pascanu et al., ICML 2013)."""
        torch.nn.utils.clip_grad_norm_(self.parameters, largest_norm)

    def step(self, number: int, rate_share: float = 1.0) -> None:
        """Take the step with this `number`, from 1, by the gradients the parameters hold; clear them.

        `rate_share` is the share of the learning rate taken. A parameter without a gradient stays.
        """
        places = [place for place, own in enumerate(self.parameters) if own.grad is not None]
        if not places:
            return
        parameters = [self.parameters[place] for place in places]
        first = [self._first[place] for place in places]
        second = [self._second[place] for place in places]
        with torch.no_grad():
            number_of = self._number.fill_(number)
            torch._fused_adamw_(
                parameters,
                [parameter.grad for parameter in parameters],
                first,
                second,
                [],
                [number_of] * len(places),
                lr=self._learning_rate * rate_share,
                beta1=_FIRST_DECAY,
                beta2=_SECOND_DECAY,
                eps=_EPSILON,
                weight_decay=self._weight_decay,
                amsgrad=False,
                maximize=False,
            )
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
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
        for place in range(len(self.parameters)):
            self._first[place].copy_(state[f"first.{place}"])
            self._second[place].copy_(state[f"second.{place}"])
