"""TabCNN, TabLSTM and TabTransformer: tokens and windows together, unlike the families of windows alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from executor_fits import bundle_of
from executor_panels import write_panel

from executors.contract import FitSpec
from executors.gpu.cnn_family import CNN1DRecipe
from executors.gpu.lstm_family import LSTMRecipe
from executors.gpu.recipe import Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.gpu.tab_cnn_family import TabCNNRecipe
from executors.gpu.tab_lstm_family import TabLSTMRecipe
from executors.gpu.tab_transformer_family import TabTransformerRecipe, feature_tokens
from executors.gpu.tokens import met
from executors.gpu.transformer_family import TransformerRecipe
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

FEATURES, WINDOW = 4, 6
PLAIN = {"TabCNN": "CNN1D", "TabLSTM": "LSTM", "TabTransformer": "Transformer"}
RECIPES: dict[str, SupervisedRecipe] = {
    "CNN1D": CNN1DRecipe(),
    "LSTM": LSTMRecipe(),
    "Transformer": TransformerRecipe(),
    "TabCNN": TabCNNRecipe(),
    "TabLSTM": TabLSTMRecipe(),
    "TabTransformer": TabTransformerRecipe(),
}


def shape_of(family: str) -> Shape:
    """Return a small shape with the family's default settings."""
    params = {name: parameter.default for name, parameter in RECIPES[family].PARAMETERS.items()}
    params["window"] = WINDOW
    return Shape(features=FEATURES, outputs=1, window=WINDOW, task="regression", params=params)


def made(family: str) -> tuple[SupervisedRecipe, Any, Shape]:
    """Return recipe, fresh network in prediction mode, and shape."""
    torch.manual_seed(3)
    shape = shape_of(family)
    return RECIPES[family], RECIPES[family].network(shape).eval(), shape


@pytest.mark.parametrize("family", PLAIN)
def test_a_tab_family_has_a_token_of_its_own_for_every_feature(family: str) -> None:
    """Vectors by feature are among its weights, and not among those of its namesake without Tab."""
    width = int(shape_of(family).params["width"])
    for name, has_tokens in ((family, True), (PLAIN[family], False)):
        _, network, _ = made(name)
        shapes = {key.rpartition(".")[2]: tuple(value.shape) for key, value in network.state_dict().items()}
        assert (shapes.get("slopes") == shapes.get("offsets") == (FEATURES, width)) == has_tokens


@pytest.mark.parametrize("family", PLAIN)
def test_answers_depend_on_every_bar_of_the_window(family: str) -> None:
    """The tokens do not replace the window: another value at any bar is heard."""
    recipe, network, shape = made(family)
    windows = torch.randn(3, WINDOW, FEATURES)
    answers = recipe.answers(network, windows, shape)
    for bar in range(WINDOW):
        changed = windows.clone()
        changed[:, bar] += 1.0
        assert (recipe.answers(network, changed, shape) != answers).all()


@pytest.mark.parametrize("family", ["TabCNN", "TabLSTM"])
def test_the_tabular_side_sees_the_row_s_own_bar_alone(family: str) -> None:
    """With the sequence's weights at nothing, what is left are the tokens of the last bar."""
    recipe, network, shape = made(family)
    with torch.no_grad():
        for weight in network["sequence"].parameters():
            weight.zero_()
    windows = torch.randn(3, WINDOW, FEATURES)
    answers = recipe.answers(network, windows, shape)
    past, now = windows.clone(), windows.clone()
    past[:, :-1] += 1.0
    now[:, -1] += 1.0
    assert torch.equal(recipe.answers(network, past, shape), answers)
    assert not torch.equal(recipe.answers(network, now, shape), answers)
    assert met(network["tabular"], windows[:, -1]).shape == (3, 2 * int(shape.params["width"]))


def test_tokens_of_the_tab_transformer_are_features_with_their_past() -> None:
    """A bar of one feature changes that feature's token alone, whichever bar it is."""
    _, network, _ = made("TabTransformer")
    windows = torch.randn(3, WINDOW, FEATURES)
    tokens = feature_tokens(network, windows)
    assert tokens.shape[:2] == (3, FEATURES)
    for bar in range(WINDOW):
        changed = windows.clone()
        changed[:, bar, 2] += 1.0
        apart = (feature_tokens(network, changed) - tokens).abs().amax(dim=2)
        assert not apart[:, [0, 1, 3]].any()
        assert (apart[:, 2] > 0).all()


def test_the_tab_transformer_does_not_care_for_the_order_of_the_features() -> None:
    """Attention goes across features: with their own weights they may stand anywhere. Bars may not."""
    recipe, network, shape = made("TabTransformer")
    windows, order = torch.randn(5, WINDOW, FEATURES), [2, 0, 3, 1]
    answers = recipe.answers(network, windows, shape)
    with torch.no_grad():
        for values in (network["tokenizer"]["slopes"], network["tokenizer"]["offsets"], network.past):
            values.copy_(values[order].clone())
    torch.testing.assert_close(recipe.answers(network, windows[:, :, order], shape), answers)
    assert not torch.allclose(recipe.answers(network, windows.flip(1)[:, :, order], shape), answers)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Six symbols whose label is the product of two features of the row, and noise."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")):
        random = np.random.default_rng([place, 51])
        values = random.standard_normal((500, 6))
        frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(6)])
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=500, freq="B", tz="UTC"))
        frame["fwd_ret_1d"] = 0.01 * (values[:, 0] * values[:, 1] + random.standard_normal(500))
        frames[symbol] = frame.astype(dict.fromkeys(frame.columns[1:], np.float32))
    return write_panel(tmp_path_factory.mktemp("paired"), frames)


@pytest.mark.parametrize("family", PLAIN)
def test_tokens_learn_how_features_act_together_sooner(
    make_spec: SpecMaker, paired: Panel, tmp_path: Path, family: str
) -> None:
    """On a product of two features, with the same window and epochs, Tab is ahead of its namesake."""
    gained = {}
    for name in (family, PLAIN[family]):
        params: dict[str, Any] = {"window": 3, "epochs": 5, "learning_rate": 4e-3}
        params |= {"channels": 16} if "CNN" in name else {}
        params |= {"epochs": 8, "learning_rate": 1e-3} if "Transformer" in name else {}
        spec = make_spec(family=name, params=params, panel_path=paired.path, panel_key=paired.key)
        gained[name] = bundle_of(spec, tmp_path / name).card["metrics"]["error_reduction"]
    assert gained[family] > 0.05
    assert gained[family] > gained[PLAIN[family]] + 0.03
