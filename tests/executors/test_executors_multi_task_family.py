"""MultiTask: one trunk, a head per target, missing labels left out, and help from what the others know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from executor_fits import bundle_of
from executor_panels import write_panel
from safetensors.torch import load as tensors_from_bytes

from executors.contract import FitSpec
from executors.gpu.losses import row_losses
from executors.gpu.multi_task_family import MultiTaskRecipe, masked_loss
from executors.gpu.recipe import Batch, Shape
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

SHAPE = Shape(
    features=3,
    outputs=1,
    window=1,
    task="regression",
    others=(("regression", 1), ("multiclass", 3)),
    params={name: parameter.default for name, parameter in MultiTaskRecipe.PARAMETERS.items()},
)


def some_batch(others: torch.Tensor) -> Batch:
    """Return a batch of made-up rows with these labels of the further targets."""
    torch.manual_seed(5)
    rows = len(others)
    return Batch(
        windows=torch.randn(rows, 1, 3), labels=torch.randn(rows), weights=torch.ones(rows), others=others
    )


def test_an_unknown_label_counts_for_nothing() -> None:
    """The loss is that of the known rows, its gradient is finite, and without any it is 0."""
    answers, weights = torch.randn(4, 1, requires_grad=True), torch.tensor([1.0, 2.0, 0.5, 1.0])
    labels = torch.tensor([0.3, float("nan"), -1.0, float("nan")])
    loss = masked_loss(answers, labels, weights, "regression")
    errors = row_losses(answers[[0, 2]], labels[[0, 2]], "regression")
    torch.testing.assert_close(loss, (errors * weights[[0, 2]]).mean())
    loss.backward()
    assert answers.grad.isfinite().all()
    assert not answers.grad[[1, 3]].any()
    assert float(masked_loss(answers, labels * float("nan"), weights, "regression").detach()) == 0.0


@pytest.mark.parametrize("known", [True, False])
def test_all_targets_move_the_trunk_and_each_its_own_head(known: bool) -> None:
    """A target whose labels are all unknown leaves its head where it is."""
    torch.manual_seed(1)
    network = MultiTaskRecipe().network(SHAPE).eval()
    others = torch.stack([torch.randn(8), torch.arange(8) % 3], dim=1)
    others[:, 1] = others[:, 1] if known else float("nan")
    MultiTaskRecipe().loss(network, some_batch(others), "model", SHAPE).backward()
    moved = [bool(head[-1].weight.grad.any()) for head in network["heads"]]
    assert moved == [True, True, known]
    assert network["trunk"][0].weight.grad.any()


def test_uncertainty_weighs_losses_as_in_the_paper() -> None:
    """Squared error x exp(-s) / 2 + s / 2, cross entropy x exp(-s) + s / 2; without s all count the same."""
    torch.manual_seed(1)
    network = MultiTaskRecipe().network(SHAPE).eval()
    with torch.no_grad():
        network.log_variances.copy_(torch.tensor([0.5, -1.0, 0.2]))
    batch = some_batch(torch.stack([torch.randn(8), torch.arange(8) % 3], dim=1))
    shared = network["trunk"](batch.windows[:, -1])
    labels = (batch.labels, batch.others[:, 0], batch.others[:, 1])
    tasks = ("regression", "regression", "multiclass")
    losses = [
        float(row_losses(head(shared), label, task).mean().detach())
        for head, label, task in zip(network["heads"], labels, tasks, strict=True)
    ]
    factors = np.exp([-0.5, 1.0, -0.2]) * [0.5, 0.5, 1.0]
    expected = np.mean(factors * losses + 0.5 * np.array([0.5, -1.0, 0.2]))
    loss = MultiTaskRecipe().loss(network, batch, "model", SHAPE)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    equal = replace(SHAPE, params={**SHAPE.params, "learnt_uncertainty": 0})
    loss = MultiTaskRecipe().loss(network, batch, "model", equal)
    assert float(loss.detach()) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.fixture(scope="module")
def kin(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Six symbols with a faint target, one that shows the same signal clearly, and one of noise."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")):
        random = np.random.default_rng([place, 71])
        values = random.standard_normal((400, 8))
        frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(8)])
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=400, freq="B", tz="UTC"))
        signal = values[:, 0] * values[:, 1] + np.abs(values[:, 2]) - 0.8
        frame["fwd_ret_1d"] = 0.01 * (0.25 * signal + random.standard_normal(400))
        frame["y_clear_1d"] = signal + 0.2 * random.standard_normal(400)
        frame["y_noise_1d"] = random.standard_normal(400)
        frames[symbol] = frame.astype(dict.fromkeys(frame.columns[1:], np.float32))
    return write_panel(tmp_path_factory.mktemp("kin"), frames)


def test_a_faint_target_is_helped_by_a_clear_one_of_the_same_signal(
    make_spec: SpecMaker, kin: Panel, tmp_path: Path
) -> None:
    """It is learnt better beside its kin than beside noise, whose own uncertainty is learnt to be larger."""
    gained, uncertain = {}, {}
    for other in ("y_clear_1d", "y_noise_1d"):
        spec = make_spec(
            family="MultiTask",
            panel_path=kin.path,
            panel_key=kin.key,
            other_targets=(other,),
            blocked_features=("f7",),
        )
        bundle = bundle_of(spec, tmp_path / other)
        gained[other] = bundle.card["metrics"]["error_reduction"]
        uncertain[other] = float(tensors_from_bytes(bundle.files["model.safetensors"])["log_variances"][1])
        assert "f7" not in bundle.card["features"]
    assert gained["y_clear_1d"] > gained["y_noise_1d"] + 0.01
    assert uncertain["y_clear_1d"] < uncertain["y_noise_1d"]
