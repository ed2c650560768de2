"""What most recipes share: one player that makes the weighted loss of its answers smaller."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from executors.gpu.constant_start import last_linear
from executors.gpu.losses import row_losses, weighted
from executors.gpu.recipe import ONE_PLAYER, Batch, Network, Shape
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class SupervisedRecipe(ABC):
    """A recipe but for its settings, its network and how that answers."""

    PARAMETERS: Mapping[str, Parameter] = {}
    players: tuple[str, ...] = ONE_PLAYER

    @abstractmethod
    def network(self, shape: Shape) -> Network:
        """Return the network with fresh weights from torch's generator."""

    def last_layer(self, network: Network) -> Network:
        """Return the linear layer whose output is the answer; it begins as the constant."""
        return last_linear(network["head"])

    @abstractmethod
    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return the prediction, (batch, outputs): value, logit of the larger class, or of each class."""

    def parameters(self, network: Network, player: str) -> list[Tensor]:
        """Return all weights: there is one player."""
        del player
        return list(network.parameters())

    def loss(self, network: Network, batch: Batch, player: str, shape: Shape) -> Tensor:
        """Return the weighted mean loss of the answers, a scalar."""
        del player
        answers = self.answers(network, batch.windows, shape).float()
        return weighted(row_losses(answers, batch.labels, shape.task), batch.weights)

    def valid_losses(self, network: Network, batch: Batch, shape: Shape) -> Tensor:
        """Return each row's loss of the answers, (batch,)."""
        return row_losses(self.answers(network, batch.windows, shape).float(), batch.labels, shape.task)
