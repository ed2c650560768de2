"""GAN: the generator learns from the critic alone, and what it draws follows the law of the labels."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from executor_fits import bundle_of
from executor_panels import write_panel
from numpy.typing import NDArray

from executors.bundle import PREPROCESSING, Bundle
from executors.contract import FitSpec
from executors.gpu.gan_family import (
    CRITIC,
    GENERATOR,
    TRAINER,
    GANRecipe,
    energy_scores,
    fixed_noise,
    generated_labels,
    shifts,
    sorted_draws,
    verdicts,
)
from executors.gpu.recipe import Batch, Shape
from executors.trainers import quantile_trainer, trainer_of
from panel.aligned import Panel

SHAPE = Shape(
    features=3,
    outputs=1,
    window=1,
    task="regression",
    params={**{name: parameter.default for name, parameter in GANRecipe.PARAMETERS.items()}, "draws": 40},
)


def fresh() -> Any:
    """Return a network with the same weights each time."""
    torch.manual_seed(4)
    return GANRecipe().network(SHAPE)


def some_batch(rows: int = 32) -> Batch:
    """Return a batch of made-up rows."""
    torch.manual_seed(5)
    return Batch(
        windows=torch.randn(rows, 1, SHAPE.features),
        labels=torch.randn(rows),
        weights=torch.ones(rows),
        others=torch.zeros(rows, 0),
    )


def gradients(network: Any, player: str, of: str, recipe: GANRecipe | None = None) -> float:
    """Return how much of a gradient the loss of `player` leaves with the weights of `of`."""
    network.zero_grad()
    torch.manual_seed(6)
    (recipe or GANRecipe()).loss(network, some_batch(), player, SHAPE).backward()
    return sum(
        float(weight.grad.abs().sum()) for weight in network[of].parameters() if weight.grad is not None
    )


class HelpedRecipe(GANRecipe):
    """A mutant whose generator is also told the label."""

    def loss(self, network: Any, batch: Batch, player: str, shape: Shape) -> Any:
        """Return the loss with a squared error added."""
        labels = generated_labels(network[GENERATOR], batch.windows[:, -1], network.noise)
        error = torch.square(labels.mean(dim=1) - batch.labels).mean()
        return super().loss(network, batch, player, shape) + error


def test_the_generator_learns_from_the_critic_and_from_nothing_else() -> None:
    """A critic without weights leaves it without a gradient; a generator that is helped would have one."""
    network = fresh()
    assert gradients(network, GENERATOR, GENERATOR) > 0.0
    with torch.no_grad():
        for weight in network[CRITIC].parameters():
            weight.zero_()
    assert gradients(network, GENERATOR, GENERATOR) == 0.0
    assert gradients(network, GENERATOR, GENERATOR, HelpedRecipe()) > 0.0


def test_the_critic_s_turn_leaves_the_generator_alone() -> None:
    """It is judged on generated labels without a way back into what generated them."""
    network = fresh()
    assert gradients(network, CRITIC, CRITIC) > 0.0
    assert gradients(network, CRITIC, GENERATOR) == 0.0


def play(network: Any, player: str, batch: Batch, turns: int) -> None:
    """Let `player` alone take its turns against a batch, by plain steps down its gradient."""
    for _ in range(turns):
        network.zero_grad()
        GANRecipe().loss(network, batch, player, SHAPE).backward()
        with torch.no_grad():
            for weight in GANRecipe().parameters(network, player):
                weight.sub_(weight.grad, alpha=0.1)


def test_a_critic_learns_to_tell_and_a_generator_to_follow_it() -> None:
    """Real labels lie above the generated ones: the critic finds out where, and the generator goes there."""
    network, made_up = fresh(), some_batch()
    batch = replace(made_up, labels=1.5 + 0.3 * made_up.labels)
    rows = batch.windows[:, -1]

    def means() -> tuple[float, float]:
        generated = generated_labels(network[GENERATOR], rows, network.noise)
        ahead = verdicts(network[CRITIC], rows, batch.labels[:, None]) - verdicts(
            network[CRITIC], rows, generated
        )
        return float(generated.detach().mean()), float(ahead.detach().mean())

    label_at_first, ahead_at_first = means()
    play(network, CRITIC, batch, 60)
    label_then, ahead_then = means()
    play(network, GENERATOR, batch, 60)
    label_now, ahead_now = means()
    assert ahead_then > ahead_at_first + 0.05
    assert label_then == label_at_first
    assert label_now > label_then + 0.3
    assert ahead_now < ahead_then


def test_the_penalty_is_the_slope_of_the_critic_in_the_label() -> None:
    """Checked against differences, at the real and at the generated labels, without the game's own part."""
    network, batch = fresh(), some_batch()
    with torch.no_grad():
        network[CRITIC]["joint"][3].weight *= 20.0  # steep enough to matter
    losses = {}
    for penalty in (0.0, 4.0):
        torch.manual_seed(8)
        shape = replace(SHAPE, params={**SHAPE.params, "penalty": penalty})
        losses[penalty] = float(GANRecipe().loss(network, batch, CRITIC, shape).detach())
    torch.manual_seed(8)
    noise = torch.randn(len(batch.labels), int(SHAPE.params["generated"]), int(SHAPE.params["noise"]))
    rows = batch.windows[:, -1]
    made = generated_labels(network[GENERATOR], rows, noise).double()
    critic, expected, step = network[CRITIC].double(), 0.0, 1e-5
    for labels in (batch.labels[:, None].double().expand_as(made), made):
        above, below = (verdicts(critic, rows.double(), labels + side).detach() for side in (step, -step))
        expected += float(torch.square((above - below) / (2 * step)).mean())
    assert losses[4.0] - losses[0.0] == pytest.approx(2.0 * expected, rel=0.01)


def test_the_average_follows_the_generator_and_predicts() -> None:
    """It moves in the generator's turns alone, by a fiftieth of the way, and the draws are its own."""
    network, batch = fresh(), some_batch()
    draws = sorted_draws(network, batch.windows)
    with torch.no_grad():
        network[GENERATOR]["joint"][3].bias += 1.0
    assert torch.equal(sorted_draws(network, batch.windows), draws)
    GANRecipe().loss(network, batch, CRITIC, SHAPE)
    assert torch.equal(sorted_draws(network, batch.windows), draws)
    GANRecipe().loss(network, batch, GENERATOR, SHAPE)
    torch.testing.assert_close(sorted_draws(network, batch.windows), draws + 0.02)


def test_the_energy_score_is_the_mean_over_all_pairs() -> None:
    """The formula over ranks equals the one over pairs of different draws."""
    draws, labels = torch.sort(torch.randn(6, 9), dim=1).values, torch.randn(6)
    pairs = (draws[:, :, None] - draws[:, None, :]).abs().sum(dim=(1, 2)) / (9 * 8)
    expected = (draws - labels[:, None]).abs().mean(dim=1) - 0.5 * pairs
    torch.testing.assert_close(energy_scores(draws, labels), expected)


def test_the_fixed_noise_is_even_in_every_coordinate() -> None:
    """Each coordinate holds the middles of equal parts of the normal law, in an order of its own."""
    noise = fixed_noise(50, 3)
    middles = torch.special.ndtri((torch.arange(50, dtype=torch.float64) + 0.5) / 50).float()
    for coordinate in range(3):
        assert torch.equal(torch.sort(noise[:, coordinate]).values, middles)
    assert not torch.equal(noise[:, 0], noise[:, 1])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Five symbols whose label is spread as widely as one feature says, around what another says."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD", "EEE")):
        random = np.random.default_rng([place, 41])
        values = random.standard_normal((800, 3))
        frame = pd.DataFrame(values, columns=["middle", "spread", "idle"])
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=800, freq="B", tz="UTC"))
        noise = np.exp(0.5 * values[:, 1]) * random.standard_normal(800)
        frame["fwd_ret_1d"] = 0.01 * (0.8 * values[:, 0] + noise)
        frames[symbol] = frame.astype(dict.fromkeys(frame.columns[1:], np.float32))
    return write_panel(tmp_path_factory.mktemp("uneven"), frames)


@pytest.fixture(scope="module")
def uneven_bundle(uneven: Panel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A GAN of that panel."""
    where = tmp_path_factory.mktemp("gan")
    spec = FitSpec(
        plan="p_0123456789abcdef",
        job="cs_fwd_ret_1d",
        fit="f_0123456789abcdef",
        family="GAN",
        target="fwd_ret_1d",
        training_type="cross_sectional",
        panel_path=uneven.path,
        panel_key=uneven.key,
        seed=7,
        params={"epochs": 12, "patience": 12, "batch_rows": 128},
        checkpoint_dir=where / "checkpoints",
        checkpoint_rounds=10**6,
        checkpoint_seconds=3600.0,
        bundle_path=where / "bundle",
    )
    return bundle_of(spec, where)


def test_quantiles_are_moved_by_what_they_miss_in_widths_of_the_row() -> None:
    """Draws half as wide as the labels, which differ in width by row, are set right for either half."""
    random = np.random.default_rng(3)
    widths = np.where(np.arange(4000) % 2, 1.0, 5.0)
    labels = (widths * random.standard_normal(4000)).astype(np.float32)
    levels = (0.05, 0.5, 0.95)
    said = widths[:, None] * np.array([-0.8, 0.1, 0.8])
    moved = said + np.array(shifts(said, labels, levels)) * (said[:, -1:] - said[:, :1])
    for half in (widths == 1.0, widths == 5.0):
        assert np.abs((labels[half, None] <= moved[half]).mean(axis=0) - levels).max() < 0.02
    assert np.abs((labels[:, None] <= said).mean(axis=0) - levels).max() > 0.1


def last_rows(panel: Panel) -> NDArray[np.int64]:
    """Return rows of the last fifth, which no fit sees."""
    return np.flatnonzero(panel.time_codes >= 0.8 * len(panel.timestamps)).astype(np.int64)


def quantiles_at(bundle: Bundle, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the quantiles a bundle of the family gives."""
    return TRAINER.quantiles(bundle.files, json.loads(bundle.files[PREPROCESSING]), panel, rows)


def test_quantiles_cover_as_often_as_they_say(uneven: Panel, uneven_bundle: Bundle) -> None:
    """Each quantile has about its share of the labels that no one has seen below it."""
    rows = last_rows(uneven)
    found, labels = quantiles_at(uneven_bundle, uneven, rows), uneven.values("fwd_ret_1d")[rows]
    shares = (labels[:, None] < found).mean(axis=0)
    assert np.abs(shares - np.array(TRAINER.QUANTILES)).max() < 0.05


def test_the_spread_of_the_draws_follows_the_planted_law(uneven: Panel, uneven_bundle: Bundle) -> None:
    """No mode is lost: draws are spread everywhere, wide where labels are, about what they are about."""
    rows = last_rows(uneven)
    found = quantiles_at(uneven_bundle, uneven, rows)
    width = found[:, -1] - found[:, 0]
    law = np.exp(0.5 * uneven.values("spread")[rows])
    assert width.min() > 0.0
    assert np.corrcoef(width, law)[0, 1] > 0.7
    assert width.mean() == pytest.approx(0.01 * 2 * 1.645 * law.mean(), rel=0.2)
    quarters = np.argsort(law, kind="stable").reshape(4, -1)
    assert width[quarters[3]].mean() > 1.8 * width[quarters[0]].mean()  # by the law 3.5 times
    middle = uneven.values("middle")[rows]
    assert np.corrcoef(uneven_bundle.predict(uneven, rows), middle)[0, 1] > 0.8


def test_quantiles_never_fall_and_have_the_same_bits_asked_apart(
    uneven: Panel, uneven_bundle: Bundle
) -> None:
    """The noise is fixed: nothing is drawn when a bundle is asked, whatever else was drawn before."""
    rows = last_rows(uneven)
    torch.manual_seed(1)
    together = quantiles_at(uneven_bundle, uneven, rows)
    torch.manual_seed(2)
    apart = [quantiles_at(uneven_bundle, uneven, part) for part in np.array_split(rows, 7)]
    assert np.array_equal(np.concatenate(apart), together)
    assert (np.diff(together, axis=1) >= 0).all()
    assert together.shape == (len(rows), len(TRAINER.QUANTILES))
    found = quantile_trainer(trainer_of("GAN"))
    assert found is not None
    assert found.QUANTILES == TRAINER.QUANTILES
