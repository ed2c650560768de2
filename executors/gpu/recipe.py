"""What tells one network family from another; all else is the one loop of `torch_loop`.

A recipe is stateless: the network holds the weights, torch's generator is seeded by the loop before every
use, and so a resumed fit is the uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from executors.parameters import Number, Parameter

Tensor = Any  # torch is not followed by the type checker; the names say what is meant
Network = Any

#: Settings that every network family has, read by the loop.
LOOP_PARAMETERS: Mapping[str, Parameter] = {
    "epochs": Parameter(default=8, low=1, high=10_000),
    "patience": Parameter(default=3, low=1, high=10_000),
    "batch_rows": Parameter(default=256, low=1, high=1_000_000),
    "learning_rate": Parameter(default=2e-3, low=1e-7, high=1.0),
    "warmup_share": Parameter(default=0.05, low=0.0, high=0.9),
    "weight_decay": Parameter(default=1e-2, low=0.0, high=10.0),
    "gradient_norm": Parameter(default=1.0, low=1e-6, high=1e6),
}

ONE_PLAYER = ("model",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a network must know before it is made; saved with the weights.

    Attributes:
        features: numbers per bar.
        outputs: answers per row: 1, or one per class of a multiclass target.
        window: bars per row, the row's own the last; 1 for families of single rows.
        task: "regression", "binary" or "multiclass".
        others: (task, outputs) of each further target learnt beside it (MultiTask).
        params: every setting of the family.
    """

    features: int
    outputs: int
    window: int
    task: str
    others: tuple[tuple[str, int], ...] = ()
    params: Mapping[str, Number]

    def to_json(self) -> str:
        """Return the shape as one JSON document with sorted keys."""
        values = {name: getattr(self, name) for name in Shape.__dataclass_fields__}
        return json.dumps({**values, "params": dict(self.params)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Shape:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        others = tuple((str(task), int(outputs)) for task, outputs in values["others"])
        return cls(**{**values, "others": others})


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """Targets learnt beside the fit's own.

    Attributes:
        tasks: (task, outputs) of each.
        labels: (panel rows, targets) float32 as a model learns them, NaN where unknown or not to be seen.
        outline: what is kept of them with the model, JSON-able.
    """

    tasks: tuple[tuple[str, int], ...]
    labels: NDArray[np.float32]
    outline: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some training or validation rows on the device.

    Attributes:
        windows: (batch, window, features) float32, standardised and all finite; oldest bar first.
        labels: (batch,) float32 as a model learns them: standardised, or the place of the class.
        weights: (batch,) float32, mean about 1 over the training rows; in validation ones, or those of the
            classes where they are balanced.
        others: (batch, further targets) float32 encoded in the same way, NaN where unknown.
    """

    windows: Tensor
    labels: Tensor
    weights: Tensor
    others: Tensor


class Recipe(Protocol):
    """One network family.

    Attributes:
        PARAMETERS: its settings beside those of the loop (it may give those another default).
        players: names of those who take turns in every batch, each with its own optimiser.

    `compiles = False`, where a recipe says it, keeps torch.compile away from its loss. `last_layer(network)`,
    where it has it, is the linear layer whose output is the answer: it begins as the constant forecast.
    """

    PARAMETERS: Mapping[str, Parameter]
    players: tuple[str, ...]

    def network(self, shape: Shape) -> Network:
        """Return the network with fresh weights from torch's generator."""
        ...

    def parameters(self, network: Network, player: str) -> list[Tensor]:
        """Return what `player` may change."""
        ...

    def loss(self, network: Network, batch: Batch, player: str, shape: Shape) -> Tensor:
        """Return what `player` makes smaller: a scalar, in training mode, free to draw random numbers.

        A mean over the rows, so that the parts of a batch too large for the memory add up to the whole.
        """
        ...

    def valid_losses(self, network: Network, batch: Batch, shape: Shape) -> Tensor:
        """Return each row's loss of the prediction, (batch,), without drawing random numbers."""
        ...

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return the prediction, (batch, outputs): value, logit of the larger class, or of each class."""
        ...
