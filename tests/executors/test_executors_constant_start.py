"""Networks begin as the constant forecast, and remain it where nothing is learnt."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from executors.bundle import load_bundle
from executors.contract import FitSpec, Succeeded
from executors.dataset import fit_data
from executors.gpu.constant_start import begin_at_constant
from executors.gpu.recipe import Shape
from executors.gpu.torch_loop import TorchLoop
from executors.parameters import settings
from executors.session import Session
from executors.trainers import trainer_of
from executors.training import fit_once
from executors.weights import SHARED_PARAMETERS, weighted

SpecMaker = Callable[..., FitSpec]
NETWORKS = ("MLP", "VAE", "MultiTask", "CNN1D", "LSTM", "Transformer", "TabCNN", "TabLSTM", "TabTransformer")


def test_a_network_that_never_beats_the_constant_is_the_constant(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every epoch is worse on the validation rows than the beginning, all rows get one answer."""
    losses = itertools.count(1)
    monkeypatch.setattr(TorchLoop, "_valid_loss", lambda loop: float(next(losses)))
    spec = make_spec(family="MLP", params={"epochs": 5, "patience": 2, "hidden": 8})
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    bundle = load_bundle(spec.bundle_path)
    assert bundle.card["best_step"] == 0
    assert len(bundle.card["curve"]["valid_loss"]) == 5  # patience counts once something was learnt
    predictions = bundle.predictions().prediction
    data = fit_data(spec)
    assert np.unique(predictions).size == 1
    assert predictions[0] == pytest.approx(data.labels_at(data.train).mean(), abs=2e-4)
    assert outcome.metrics["score"] == 0.0


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_up_1d", "y_class_1d"])
def test_networks_begin_as_the_best_constant(make_spec: SpecMaker, family: str, target: str) -> None:
    """Before the first step every row gets the mean of the training labels, or the shares of the classes."""
    trainer = trainer_of(family)
    params = settings(family, {**trainer.PARAMETERS, **SHARED_PARAMETERS}, {})
    window = trainer.window_rows(params)
    data = weighted(fit_data(make_spec(family=family, target=target), window=window), params)
    session = Session(
        spec=make_spec(family=family, target=target),
        data=data,
        params=params,
        versions={},
        tell=lambda report: None,
        should_stop=lambda: False,
    )
    shape = Shape(
        features=len(data.features),
        outputs=data.code.outputs,
        window=window,
        task=data.code.task,
        others=(("regression", 1),) if family == "MultiTask" else (),
        params=params,
    )
    network = trainer.recipe.network(shape)
    begin_at_constant(trainer.recipe, network, session)
    network.eval()
    with torch.no_grad():
        windows = torch.randn(20, window, len(data.features))
        answers = trainer.recipe.answers(network, windows, shape).numpy()
    assert (answers == answers[0]).all()
    labels, weights = data.encoded_at(data.train), session.weights()
    if target == "fwd_ret_1d":
        assert answers[0, 0] == pytest.approx(np.average(labels, weights=weights), abs=1e-6)
        return
    shares = np.bincount(labels.astype(np.int64), weights=weights) / weights.sum()
    logits = answers[0] if target == "y_class_1d" else np.array([0.0, answers[0, 0]])
    assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(shares, abs=1e-5)
