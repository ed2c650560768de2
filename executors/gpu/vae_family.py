"""VAE: a generative model of the features whose latent code also predicts the label.

Variational auto-encoder (Kingma and Welling, ICLR 2014): an encoder gives every row a normal distribution
over latent codes, a decoder gives every code a normal distribution over feature rows; both are trained on
the evidence lower bound through the reparameterised sample. The spread of the decoder is learnt, one number
per feature, without which standardised features that go their own ways would all be taken for noise (Rybkin,
Daniilidis and Levine, ICML 2021). A head on the mean of the code predicts the label, so the code must hold
what the label needs (the joint model of Kingma et al., NeurIPS 2014, section 2.1, with both parts trained
together). Prediction draws nothing: it uses the mean of the code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from executors.gpu.losses import row_losses, weighted
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Batch, Network, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.parameters import Parameter

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_LOG_TWO_PI = math.log(2.0 * math.pi)
_FASTER = 20.0  # an optimiser moves every weight by about its rate a step, and the spread has far to go
_NARROWEST = -4.0  # logarithm of the decoder's smallest spread: a constant feature must not earn without end


class VAERecipe(SupervisedRecipe):
    """The recipe: loss = prediction + reconstruction_weight x (reconstruction + beta x KL) / features."""

    PARAMETERS: Mapping[str, Parameter] = {
        "hidden": Parameter(default=64, low=1, high=8192),
        "latent": Parameter(default=8, low=1, high=1024),
        "dropout": Parameter(default=0.1, low=0.0, high=0.95),
        "beta": Parameter(default=1.0, low=0.0, high=100.0),
        "reconstruction_weight": Parameter(default=0.3, low=0.0, high=100.0),
        "epochs": Parameter(default=12, low=1, high=10_000),
        "patience": Parameter(default=4, low=1, high=10_000),
        "batch_rows": Parameter(default=128, low=1, high=1_000_000),
    }

    def network(self, shape: Shape) -> Network:
        """Return encoder (features -> mean and log variance of the code), decoder, and the label's head."""
        hidden, latent = int(shape.params["hidden"]), int(shape.params["latent"])
        network = torch.nn.ModuleDict(
            {
                "encoder": _layers(shape.features, hidden, 2 * latent),
                "decoder": _layers(latent, hidden, shape.features),
                "head": torch.nn.Sequential(
                    torch.nn.Linear(latent, hidden),
                    torch.nn.ReLU(),
                    torch.nn.Dropout(float(shape.params["dropout"])),
                    torch.nn.Linear(hidden, shape.outputs),
                ),
            }
        )
        with torch.no_grad():
            network["encoder"][-1].bias[latent:] -= 4.0  # codes begin narrow, so that they are worth reading
        network.register_parameter("spread", torch.nn.Parameter(torch.zeros(shape.features)))
        return network

    def loss(self, network: Network, batch: Batch, player: str, shape: Shape) -> Tensor:
        """Return the weighted loss of the label, and of the features under the evidence lower bound."""
        del player
        rows = batch.windows[:, -1]  # (batch, features)
        mean, log_variance = encoded(network, rows)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        evidence = reconstruction(network, code, rows) + float(shape.params["beta"]) * divergence(
            mean, log_variance
        )
        label = row_losses(network["head"](mean).float(), batch.labels, shape.task)
        share = float(shape.params["reconstruction_weight"]) / shape.features
        return weighted(label + share * evidence, batch.weights)

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return the head's answers (batch, outputs) at the mean of each row's code."""
        del shape
        mean, _ = encoded(network, windows[:, -1])
        return network["head"](mean)


def encoded(network: Network, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the codes of `rows` (batch, features), each (batch, latent)."""
    mean, log_variance = network["encoder"](rows).float().chunk(2, dim=1)
    return mean, log_variance.clamp(-10.0, 10.0)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each code from the standard normal, (batch,)."""
    return 0.5 * (torch.square(mean) + torch.exp(log_variance) - 1.0 - log_variance).sum(dim=1)


def reconstruction(network: Network, code: Tensor, rows: Tensor) -> Tensor:
    """Return minus the log density of `rows` (batch, features) under their codes' decoding, (batch,)."""
    log_spread = log_spreads(network)
    apart = (rows - network["decoder"](code).float()) * torch.exp(-log_spread)
    return (0.5 * torch.square(apart) + log_spread + 0.5 * _LOG_TWO_PI).sum(dim=1)


def log_spreads(network: Network) -> Tensor:
    """Return the logarithm of the decoder's spread about its mean, (features,)."""
    return (_FASTER * network.spread).clamp(min=_NARROWEST)


def generated_features(network: Network, count: int, seed: int) -> Tensor:
    """Return `count` new feature rows drawn from the model, (count, features) float32, standardised.

    The same seed gives the same rows. Undo the standardisation (value x scale + mean) for the data's units.
    """
    source = torch.Generator().manual_seed(seed)
    latent = network["decoder"][0].in_features
    network.eval()
    with torch.no_grad():
        mean = network["decoder"](torch.randn(count, latent, generator=source))
        spread = torch.exp(log_spreads(network))
        return mean + spread * torch.randn(mean.shape, generator=source)


def _layers(inputs: int, hidden: int, outputs: int) -> Network:
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, outputs),
    )


TRAINER = NetworkFamily(recipe=VAERecipe())
