"""GAN: two players, a generator of returns given the features and a critic that tells them from real ones.

Generative adversarial network (Goodfellow et al., NeurIPS 2014), conditional on the features (Mirza and
Osindero, 2014). The generator maps a row's features and noise to a label; the critic scores (features,
label) pairs. Both play the relativistic game, in which the critic compares the real label of a row with
generated ones of the same row (Jolicoeur-Martineau, ICLR 2019), with zero-centred gradient penalties at the
real and at the generated labels; under both penalties the game converges locally and does not drop modes
(Huang et al., "The GAN is dead; long live the GAN!", NeurIPS 2024; Mescheder, Geiger and Nowozin, ICML
2018). In comparison the Wasserstein game with gradient penalty and one critic step a turn went in circles on
rows this noisy. The penalties are on the slope in the label alone: the features are the condition, the same
in both.

The generator learns from the critic and from nothing else. Predictions are made by the running average of
its weights (Yazici et al., ICLR 2019) over fixed noise: its draws are a sample of the row's label, their
mean the prediction, their order statistics the quantiles, moved by what these miss on the validation rows.
Early stopping judges the draws by the energy score, which in one dimension is the continuous ranked
probability score (Gneiting and Raftery, JASA 2007).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from executors.gpu.losses import weighted
from executors.gpu.network_family import NetworkFamily
from executors.gpu.recipe import Batch, Network, Shape
from executors.parameters import Parameter
from executors.preprocessing import LabelCode
from executors.session import Session, Trained
from panel.aligned import Panel

CRITIC, GENERATOR = "critic", "generator"
_LEAK = 0.2
NARROWEST = 1e-6  # of the standardised label: draws that are all the same have no width


Tensor = Any  # torch is not followed by the type checker; the name says what is meant


class GANRecipe:
    """The recipe: two players; the buffer `noise` (1, draws, noise) is what every prediction is made from."""

    PARAMETERS: Mapping[str, Parameter] = {
        "hidden": Parameter(default=64, low=1, high=8192),
        "noise": Parameter(default=4, low=1, high=1024),
        "draws": Parameter(default=128, low=20, high=10_000),
        "generated": Parameter(default=2, low=1, high=1024),
        "penalty": Parameter(default=8.0, low=0.0, high=1e4),
        "averaging": Parameter(default=0.98, low=0.0, high=0.99999),
        "epochs": Parameter(default=20, low=1, high=10_000),
        "patience": Parameter(default=10, low=1, high=10_000),
    }
    players: tuple[str, ...] = (CRITIC, GENERATOR)
    compiles = False  # the penalties are differentiated twice, which torch.compile does not do

    def network(self, shape: Shape) -> Network:
        """Return generator, critic, the generator's running average, and the fixed noise."""
        hidden, noise = int(shape.params["hidden"]), int(shape.params["noise"])
        network = torch.nn.ModuleDict(
            {
                GENERATOR: _player(shape.features, noise, hidden, torch.nn.ReLU()),
                CRITIC: _player(shape.features, 1, hidden, torch.nn.LeakyReLU(_LEAK)),
                "average": _player(shape.features, noise, hidden, torch.nn.ReLU()),
            }
        )
        network["average"].requires_grad_(requires_grad=False)
        network["average"].load_state_dict(network[GENERATOR].state_dict())
        network.register_buffer("noise", fixed_noise(int(shape.params["draws"]), noise)[None])
        return network

    def parameters(self, network: Network, player: str) -> list[Tensor]:
        """Return the weights of `player`; nobody's turn changes the average or the noise."""
        return list(network[player].parameters())

    def loss(self, network: Network, batch: Batch, player: str, shape: Shape) -> Tensor:
        """Return the weighted relativistic loss of `player`; a generator's turn also moves the average on."""
        rows = batch.windows[:, -1]  # (batch, features)
        count = int(shape.params["generated"])
        noise = torch.randn(len(rows), count, network.noise.shape[2], device=rows.device)
        if player == CRITIC:
            with torch.no_grad():
                generated = generated_labels(network[GENERATOR], rows, noise)
            return weighted(_critic_losses(network, rows, batch.labels, generated, shape), batch.weights)
        _move_average(network, float(shape.params["averaging"]))
        generated = generated_labels(network[GENERATOR], rows, noise)
        real = verdicts(network[CRITIC], rows, batch.labels[:, None])
        losses = torch.nn.functional.softplus(real - verdicts(network[CRITIC], rows, generated)).mean(dim=1)
        return weighted(losses, batch.weights)

    def valid_losses(self, network: Network, batch: Batch, shape: Shape) -> Tensor:
        """Return each row's energy score of the draws, (batch,)."""
        del shape
        return energy_scores(sorted_draws(network, batch.windows), batch.labels)

    def answers(self, network: Network, windows: Tensor, shape: Shape) -> Tensor:
        """Return the mean of each row's draws, (batch, 1)."""
        del shape
        return sorted_draws(network, windows).mean(dim=1, keepdim=True)


def generated_labels(generator: Network, rows: Tensor, noise: Tensor) -> Tensor:
    """Return labels (batch, draws) float32 for `rows` and `noise` (batch or 1, draws, noise).

    The first of the noise is passed through, so that an untrained generator draws a standard normal label.
    """
    return _judged(generator, rows, noise) + noise[..., 0]


def verdicts(critic: Network, rows: Tensor, labels: Tensor) -> Tensor:
    """Return how real the critic finds `labels` (batch, draws) of `rows` (batch, features), as numbers."""
    return _judged(critic, rows, labels[..., None])


def sorted_draws(network: Network, windows: Tensor) -> Tensor:
    """Return the draws of the averaged generator over the fixed noise, ascending, (batch, draws)."""
    draws = generated_labels(network["average"], windows[:, -1], network.noise)
    return torch.sort(draws, dim=1).values


def energy_scores(draws: Tensor, labels: Tensor) -> Tensor:
    """Return E|X - y| - E|X - X'| / 2 of each row, (batch,), for ascending `draws` (batch, draws).

    The second mean is over pairs of different draws, so that few draws are not rewarded for being close.
    """
    count = draws.shape[1]
    ranks = 2.0 * torch.arange(count, device=draws.device, dtype=draws.dtype) - (count - 1)
    apart = (draws * ranks).sum(dim=1) / (count * (count - 1))
    return (draws - labels[:, None]).abs().mean(dim=1) - apart


def fixed_noise(draws: int, noise: int) -> Tensor:
    """Return (draws, noise) of standard normal noise from torch's generator, even in every coordinate.

    A Latin hypercube (McKay, Beckman and Conover, 1979): each coordinate takes the middles of `draws` parts
    of the normal law once, in a random order, so that quantiles do not inherit the luck of few draws.
    """
    middles = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    orders = torch.stack([torch.randperm(draws) for _ in range(noise)], dim=1)
    return torch.special.ndtri(middles)[orders].float()


@dataclass(frozen=True, slots=True, kw_only=True)
class GANFamily(NetworkFamily):
    """The family as its trainer: what all network families do, and the quantiles of the draws."""

    QUANTILES: ClassVar[tuple[float, ...]] = (0.05, 0.25, 0.5, 0.75, 0.95)

    def train(self, session: Session) -> Trained:
        """Train as all network families do, then see on the validation rows how far the quantiles are off.

        Raises:
            StopAsked, DeviceUnavailable, BadInput, MemoryError: as NetworkFamily.train.
        """
        trained = NetworkFamily.train(self, session)
        data = session.data
        said = self._said(trained.files, trained.outline, data.panel, data.valid)
        found = shifts(said, data.encoded_at(data.valid), self.QUANTILES)
        return replace(
            trained, outline={**trained.outline, "quantiles": list(self.QUANTILES), "shifts": found}
        )

    def quantiles(
        self, files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the label's quantiles at `rows`, (rows, levels) float32, never falling along a row."""
        said = self._said(files, outline, panel, rows)
        shifted = said + np.array(outline["shifts"]) * _widths(said)
        return LabelCode.from_json(outline["labels"]).decoded(np.sort(shifted, axis=1))

    def _said(
        self, files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the quantiles of the draws as they are, (rows, levels), of the standardised label."""
        levels = torch.tensor(self.QUANTILES)

        def outputs(network: Network, windows: Tensor, shape: Shape) -> Tensor:
            del shape
            return torch.quantile(sorted_draws(network, windows), levels, dim=1).T

        return self.outputs_at(files, outline, panel, rows, outputs).astype(np.float64)


def shifts(said: NDArray[np.float64], labels: NDArray[np.float32], levels: tuple[float, ...]) -> list[float]:
    """Return what to add to each level, in widths of the row, so that as many labels lie below it as it says.

    `said` (rows, levels) and `labels` (rows,) are of rows not trained on. The shift of level q is the
    ceil(q (rows + 1))-th smallest miss (label less quantile) over the distance between the outermost levels
    of its row: conformalised quantiles (Romano, Patterson and Candes, NeurIPS 2019), scaled as the draws are.
    """
    misses = np.sort((labels[:, None] - said) / _widths(said), axis=0)
    places = [min(len(labels), math.ceil(level * (len(labels) + 1))) - 1 for level in levels]
    return [float(misses[place, number]) for number, place in enumerate(places)]


def _widths(said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far apart the outermost levels are, (rows, 1), never quite nothing."""
    return np.maximum(said[:, -1:] - said[:, :1], NARROWEST)


def _critic_losses(network: Network, rows: Tensor, labels: Tensor, generated: Tensor, shape: Shape) -> Tensor:
    """Return each row's loss of telling real from generated, with both gradient penalties, (batch,)."""
    real = labels[:, None].expand_as(generated).clone().requires_grad_()
    made = generated.clone().requires_grad_()
    of_real, of_made = verdicts(network[CRITIC], rows, real), verdicts(network[CRITIC], rows, made)
    slopes = torch.autograd.grad(of_real.sum() + of_made.sum(), (real, made), create_graph=True)
    penalty = sum(torch.square(slope).mean(dim=1) for slope in slopes)
    told_apart = torch.nn.functional.softplus(of_made - of_real).mean(dim=1)
    return told_apart + 0.5 * float(shape.params["penalty"]) * penalty


def _move_average(network: Network, averaging: float) -> None:
    with torch.no_grad():
        pairs = zip(network["average"].parameters(), network[GENERATOR].parameters(), strict=True)
        for average, latest in pairs:
            average.lerp_(latest, 1.0 - averaging)


def _player(features: int, inputs: int, hidden: int, bend: Network) -> Network:
    """Return a network of two inputs: features once per row, `inputs` numbers per draw; one output."""
    return torch.nn.ModuleDict(
        {
            "rows": torch.nn.Sequential(
                torch.nn.Linear(features, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden)
            ),
            "draws": torch.nn.Linear(inputs, hidden, bias=False),
            "joint": torch.nn.Sequential(
                bend, torch.nn.Linear(hidden, hidden), bend, torch.nn.Linear(hidden, 1)
            ),
        }
    )


def _judged(player: Network, rows: Tensor, inputs: Tensor) -> Tensor:
    """Return the output of a player (batch, draws) for `rows` (batch, features), `inputs` (_, draws, _)."""
    return player["joint"](player["rows"](rows)[:, None] + player["draws"](inputs))[..., 0].float()


TRAINER = GANFamily(recipe=GANRecipe())
