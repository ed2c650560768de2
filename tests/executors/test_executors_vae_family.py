"""VAE: its parts are those of the paper, its samples look like the data, its prediction draws nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from executor_fits import bundle_of
from executor_panels import write_panel

from executors.bundle import PREPROCESSING
from executors.contract import FitSpec
from executors.gpu.recipe import Batch, Shape
from executors.gpu.vae_family import (
    TRAINER,
    VAERecipe,
    divergence,
    generated_features,
    reconstruction,
)
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

SHAPE = Shape(
    features=3,
    outputs=1,
    window=1,
    task="regression",
    params={name: parameter.default for name, parameter in VAERecipe.PARAMETERS.items()},
)


def some_batch(rows: int = 16) -> Batch:
    """Return a batch of made-up rows."""
    torch.manual_seed(5)
    windows = torch.randn(rows, 1, SHAPE.features)
    return Batch(
        windows=windows, labels=windows[:, 0, 0], weights=torch.ones(rows), others=torch.zeros(rows, 0)
    )


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Four symbols whose features go together: one is mostly another, one is its square."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        random = np.random.default_rng([place, 31])
        first, second, third = random.standard_normal((3, 500))
        frame = pd.DataFrame({"a": first, "b": 0.9 * first + 0.4 * second, "c": 3.0 + 2.0 * third})
        frame["d"] = 0.5 * (first**2 - 1.0) + 0.3 * random.standard_normal(500)
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=500, freq="B", tz="UTC"))
        frame["fwd_ret_1d"] = 0.01 * (first + random.standard_normal(500))
        frames[symbol] = frame.astype(dict.fromkeys(frame.columns[1:], np.float32))
    return write_panel(tmp_path_factory.mktemp("related"), frames)


def test_the_divergence_is_that_of_a_normal_law_from_the_standard_one() -> None:
    """Checked against the integral, summed over the code."""
    torch.manual_seed(2)
    mean, log_variance = torch.randn(5, 4).clamp(-2, 2), torch.randn(5, 4).clamp(-2, 2)
    places = torch.linspace(-12.0, 12.0, 4001, dtype=torch.float64)[:, None, None]
    spread = torch.exp(0.5 * log_variance.double())
    apart = (places - mean) / spread
    log_code = -0.5 * torch.square(apart) - torch.log(spread)
    gained = torch.exp(log_code) * (log_code + 0.5 * torch.square(places)) / math.sqrt(2.0 * math.pi)
    expected = torch.trapezoid(gained, dx=24.0 / 4000, dim=0).sum(dim=1)
    torch.testing.assert_close(divergence(mean, log_variance).double(), expected, rtol=1e-3, atol=1e-3)


def test_the_reconstruction_is_a_log_density_under_a_learnt_spread() -> None:
    """Minus the normal log density of each feature about the decoder's mean, summed over features."""
    torch.manual_seed(2)
    network = VAERecipe().network(SHAPE)
    with torch.no_grad():
        network.spread.copy_(torch.tensor([-0.05, 0.0, 0.02]))
    rows, code = torch.randn(6, 3), torch.randn(6, int(SHAPE.params["latent"]))
    spread = torch.tensor([-1.0, 0.0, 0.4]).exp()
    density = torch.exp(-torch.square((rows - network["decoder"](code)) / spread) / 2) / spread
    expected = -torch.log(density / math.sqrt(2.0 * math.pi)).sum(dim=1)
    torch.testing.assert_close(reconstruction(network, code, rows), expected)


def test_training_draws_a_code_and_prediction_takes_its_mean() -> None:
    """The loss depends on the generator's seed, the answers do not."""
    torch.manual_seed(1)
    network, batch, recipe = VAERecipe().network(SHAPE).eval(), some_batch(), VAERecipe()

    def under(seed: int, function: Callable[[], Any]) -> Any:
        torch.manual_seed(seed)
        return function().detach()

    losses = [under(seed, lambda: recipe.loss(network, batch, "model", SHAPE)) for seed in (1, 1, 2)]
    answers = [under(seed, lambda: recipe.answers(network, batch.windows, SHAPE)) for seed in (1, 2)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(answers[0], answers[1])


def test_every_part_is_trained_the_decoder_only_by_the_features() -> None:
    """Without a weight on the reconstruction the decoder learns nothing, and the head still does."""
    batch = some_batch()
    moved = {}
    for weight in (0.0, 0.3):
        shape = replace(SHAPE, params={**SHAPE.params, "reconstruction_weight": weight})
        torch.manual_seed(1)
        network = VAERecipe().network(shape)
        VAERecipe().loss(network, batch, "model", shape).backward()
        moved[weight] = {
            part: bool(network[part][0].weight.grad.abs().sum() > 0)
            for part in ("encoder", "decoder", "head")
        }
    assert moved[0.0] == {"encoder": True, "decoder": False, "head": True}
    assert moved[0.3] == {"encoder": True, "decoder": True, "head": True}


def test_samples_have_the_moments_of_the_data(make_spec: SpecMaker, related: Panel, tmp_path: Path) -> None:
    """Means, spreads and correlations of what it generates are about those of the training rows."""
    spec = make_spec(
        family="VAE",
        panel_path=related.path,
        panel_key=related.key,
        params={"epochs": 20, "patience": 20, "batch_rows": 64, "reconstruction_weight": 1.0},
    )
    bundle = bundle_of(spec, tmp_path)
    outline = json.loads(bundle.files[PREPROCESSING])
    network = TRAINER.loaded(bundle.files, outline).network
    rows = generated_features(network, 4000, seed=3).numpy()
    assert np.array_equal(rows, generated_features(network, 4000, seed=3).numpy())
    data = related.matrix(("a", "b", "c", "d"))
    assert np.abs(rows.mean(axis=0)).max() < 0.2
    assert np.abs(rows.std(axis=0) - 1.0).max() < 0.25
    apart = np.corrcoef(rows.T) - np.corrcoef(data.T)
    assert np.abs(apart).max() < 0.2
    assert np.corrcoef(rows.T)[0, 1] > 0.7  # really 0.91; independent features would have 0
