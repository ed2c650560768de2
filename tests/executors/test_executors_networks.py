"""MLP, LSTM, CNN1D and Transformer: each learns what its name says it can, and is a fit like all others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from executor_fits import (
    bundle_of,
    killed_after_every_checkpoint,
    outcome_of,
    stopped_at,
    with_another_future,
)
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.bundle import Bundle
from executors.contract import FitSpec
from executors.errors import BadInput
from executors.gpu import prediction
from executors.gpu.cnn_family import after_block, dilations
from executors.gpu.network_family import NetworkFamily
from executors.gpu.prediction import LoadedNetwork
from executors.gpu.recipe import Shape
from executors.trainers import trainer_of
from executors.windows import with_full_window
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

SEQUENTIAL = ("LSTM", "CNN1D", "Transformer")
FAMILIES = ("MLP", *SEQUENTIAL)

#: Quick ones that still learn: short windows, few weights, high rates.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "MLP": {"hidden": 32, "epochs": 6, "learning_rate": 0.005},
    "LSTM": {"hidden": 16, "window": 5, "epochs": 8, "learning_rate": 0.02},
    "CNN1D": {"channels": 12, "window": 5, "epochs": 6, "learning_rate": 0.01},
    "Transformer": {"width": 16, "window": 5, "epochs": 8, "learning_rate": 0.01},
}

#: Of a few steps, with everything random switched on.
TINY: Mapping[str, Mapping[str, Any]] = {
    "MLP": {"hidden": 8, "epochs": 2, "dropout": 0.3},
    "LSTM": {"hidden": 4, "window": 4, "layers": 2, "epochs": 2, "dropout": 0.3},
    "CNN1D": {"channels": 4, "window": 4, "epochs": 2, "dropout": 0.3},
    "Transformer": {"width": 8, "window": 4, "epochs": 2, "dropout": 0.3},
}


_PREDICT = """
import sys
import numpy as np
from pathlib import Path
from executors import load_bundle
from panel.aligned import open_panel
panel = open_panel(Path(sys.argv[1]))
for path in sys.argv[4:]:
    bundle = load_bundle(Path(path))
    rows = np.flatnonzero(np.isin(panel.times, bundle.predictions().time))
    assert (rows[0], rows[-1]) == (int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.buffer.write(bundle.predict(panel, rows).tobytes())
"""


def quick(make_spec: SpecMaker, family: str, **changes: Any) -> FitSpec:
    """Return the spec of a quick fit."""
    return make_spec(family=family, params=QUICK[family], **changes)


def loaded(bundle: Bundle) -> LoadedNetwork:
    """Return the bundle's network."""
    trainer = trainer_of(bundle.card["family"])
    assert isinstance(trainer, NetworkFamily)
    return trainer.loaded(bundle.files, json.loads(bundle.files["preprocessing.json"]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_up_1d", "y_class_1d"])
def test_a_planted_signal_is_learnt_better_than_the_constant(
    make_spec: SpecMaker, tmp_path: Path, family: str, target: str
) -> None:
    """Of every kind of target, on rows nobody has seen."""
    metrics = bundle_of(quick(make_spec, family, target=target), tmp_path).card["metrics"]
    assert metrics["error_reduction"] > 0.0
    assert metrics["beats_no_skill"]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_found_in_noise(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """A target of pure noise is not predicted, whatever the training rows seemed to say."""
    metrics = bundle_of(quick(make_spec, family, target="y_noise_1d"), tmp_path).card["metrics"]
    assert abs(metrics["score"]) < 3 * metrics["standard_error"]
    assert metrics["error_reduction"] < 0.02


@pytest.fixture(scope="module")
def past_panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """A panel whose label depends on the order of past bars and not on the row's own."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for place, frame in enumerate(frames.values()):
        noise = np.random.default_rng([place, 3]).standard_normal(len(frame))
        past = frame["f0"].shift(1) - frame["f0"].shift(3)
        frame["fwd_ret_1d"] = (0.01 * (past.fillna(0.0) + noise)).astype(np.float32)
    return write_panel(tmp_path_factory.mktemp("past"), frames)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_networks_over_windows_learn_the_order_of_past_bars(
    past_panel: Panel, make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """What single rows cannot show, a real window does; a bag of the same bars would not either."""
    spec = quick(make_spec, family, panel_path=past_panel.path, panel_key=past_panel.key)
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    if family in SEQUENTIAL:
        assert metrics["error_reduction"] > 0.15
    else:
        assert metrics["error_reduction"] < 0.02


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_killed_after_every_checkpoint_comes_out_to_the_byte(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """In the midst of an epoch and at its end; and so does one that was asked to stop."""
    spec = make_spec(family=family, params=TINY[family], checkpoint_rounds=3)
    expected = bundle_of(spec, tmp_path / "whole").files
    found, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 3
    assert {name: found[name] for name in expected} == expected
    stopped, steps = stopped_at(spec, tmp_path / "stopped", [2, 5, 9])
    assert len(steps) == 3
    assert {name: stopped[name] for name in expected} == expected


def test_a_fresh_process_predicts_what_was_recorded(
    panel: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Every bit, for rows asked for alone as well as together."""
    recorded = b""
    for family in FAMILIES:
        bundle = bundle_of(make_spec(family=family, params=TINY[family]), tmp_path / family)
        table = bundle.predictions()
        rows = np.flatnonzero(np.isin(panel.times, table.time))
        assert len(rows) == len(table.time)
        recorded += table.prediction.tobytes()
        alone = np.concatenate([bundle.predict(panel, rows[[place]]) for place in (0, 7, 299)])
        assert alone.tobytes() == table.prediction[[0, 7, 299]].tobytes()
    bundles = [str(tmp_path / family / "bundle") for family in FAMILIES]
    command = [sys.executable, "-c", _PREDICT, str(panel.path), str(rows[0]), str(rows[-1]), *bundles]
    environment = {"OMP_NUM_THREADS": "2", "PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run(command, capture_output=True, check=True, env=environment).stdout == recorded


@pytest.mark.parametrize("family", FAMILIES)
def test_a_large_set_in_parts_and_any_order_has_the_same_bits(
    panel: Panel, make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Rows that need not be in memory together are not; rows without a window are NaN among them."""
    bundle = bundle_of(make_spec(family=family, params=TINY[family]), tmp_path)
    rows = np.random.default_rng(1).permutation(panel.rows)
    expected = bundle.predict(panel, rows)
    monkeypatch.setattr(prediction, "_ROWS_AT_ONCE", 700)
    assert bundle.predict(panel, rows).tobytes() == expected.tobytes()
    window = QUICK["LSTM"]["window"] - 1 if family in SEQUENTIAL else 1
    assert np.array_equal(np.isfinite(expected), with_full_window(panel, rows, window))
    assert bundle.predict(panel, rows[:0]).shape == (0,)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_future_does_not_change_what_was_said_of_the_past(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, family: str
) -> None:
    """Rows before the change keep the bits of their predictions, rows after it do not."""
    bundle = bundle_of(make_spec(family=family, params=TINY[family]), tmp_path)
    names = [*panel.feature_names, "fwd_ret_1d"]
    changed = with_another_future(tmp_path / "changed", days=450, columns=names)
    before = np.concatenate([np.arange(own.start, own.start + 450) for own in map(panel.rows_of, SYMBOLS)])
    assert bundle.predict(changed, before).tobytes() == bundle.predict(panel, before).tobytes()
    assert bundle.predict(changed, before + 50).tobytes() != bundle.predict(panel, before + 50).tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_features_without_a_value_or_a_change_do_no_harm(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """A column of one value and one that begins after the training rows are features like others."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["f5"] = np.float32(3.0)
        frame.loc[:400, "f6"] = np.nan
    panel = write_panel(tmp_path / "panel", frames)
    spec = make_spec(
        family=family,
        params=TINY[family],
        panel_path=panel.path,
        panel_key=panel.key,
        features=tuple(name for name in panel.feature_names if name.startswith("f")),
    )
    bundle = bundle_of(spec, tmp_path)
    assert np.isfinite(bundle.predictions().prediction).all()


def test_a_bundle_holds_weights_shape_and_preprocessing(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Tensors as safetensors, the rest as JSON; no pickle, and settings to make the network again."""
    bundle = bundle_of(make_spec(family="MLP", params=TINY["MLP"]), tmp_path)
    assert {"model.safetensors", "model.json", "preprocessing.json"} < set(bundle.files)
    shape = Shape.from_json(bundle.files["model.json"])
    assert (shape.features, shape.window, shape.task, shape.params["hidden"]) == (8, 1, "regression", 8)
    assert Shape.from_json(shape.to_json()) == shape


def test_a_width_its_heads_cannot_share_is_refused(make_spec: SpecMaker) -> None:
    """One sentence says which setting and what to do."""
    spec = make_spec(family="Transformer", params={**TINY["Transformer"], "width": 9})
    with pytest.raises(BadInput, match=r"width of Transformer: 9 cannot be shared evenly by 2 heads"):
        outcome_of(spec)


@pytest.mark.parametrize(
    ("window", "kernel", "expected"), [(2, 3, (1,)), (20, 3, (1, 2, 4)), (21, 2, (1, 2, 4, 8))]
)
def test_blocks_are_added_until_the_last_bar_sees_the_window(
    window: int, kernel: int, expected: tuple[int, ...]
) -> None:
    """Receptive field: 1 + 2 (kernel - 1) times the sum of dilations."""
    assert dilations(window, kernel) == expected
    assert 1 + 2 * (kernel - 1) * sum(expected) >= window


def fresh(family: str, window: int, **params: Any) -> tuple[Any, Any, Shape]:
    """Return recipe, fresh network in evaluation mode, and shape."""
    trainer = trainer_of(family)
    assert isinstance(trainer, NetworkFamily)
    settings = {name: parameter.default for name, parameter in trainer.PARAMETERS.items()}
    shape = Shape(
        features=3,
        outputs=1,
        window=window,
        task="regression",
        params={**settings, "window": window, **params},
    )
    torch.manual_seed(0)
    return trainer.recipe, trainer.recipe.network(shape).eval(), shape


@pytest.mark.parametrize("family", SEQUENTIAL)
@pytest.mark.parametrize("bar", [0, 6, 12])
def test_every_bar_of_the_window_counts(family: str, bar: int) -> None:
    """The first bar as well as the row's own one changes the answer: the window is really looked at."""
    recipe, network, shape = fresh(family, 13)
    windows = torch.randn(4, 13, 3)
    changed = windows.clone()
    changed[:, bar] += 1.0
    with torch.no_grad():
        before, after = (recipe.answers(network, given, shape) for given in (windows, changed))
    assert not torch.equal(before, after)


@pytest.mark.parametrize(("window", "kernel"), [(13, 2), (20, 3), (7, 5), (2, 3)])
def test_leaving_out_states_nobody_reads_changes_no_answer(window: int, kernel: int) -> None:
    """Against all bars through all blocks, and the state of a bar is that of a window that ends there."""
    recipe, network, shape = fresh("CNN1D", window, kernel=kernel)
    windows = torch.randn(4, window, 3)
    states, shorter = windows.transpose(1, 2), windows[:, :-1].transpose(1, 2)
    with torch.no_grad():
        for block, dilation in zip(network["blocks"], dilations(window, kernel), strict=True):
            pad = (kernel - 1) * dilation
            states = after_block(block, states, pad=pad, bars=window)
            shorter = after_block(block, shorter, pad=pad, bars=window - 1)
        answers = recipe.answers(network, windows, shape)
    assert states.shape == (4, 32, window)
    torch.testing.assert_close(states[:, :, :-1], shorter)
    torch.testing.assert_close(answers, network["head"](states[:, :, -1]))


def test_attention_of_the_last_bar_alone_is_that_of_all_bars_read_at_the_last() -> None:
    """Leaving out what nobody reads changes no answer: against torch's own attention, all bars asking."""
    recipe, network, shape = fresh("Transformer", 7, width=8, heads=2)
    windows = torch.randn(5, 7, 3)
    with torch.no_grad():
        tokens = network["bar"](windows) + network["places"].weight
        for layer in network["layers"]:
            attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            attention.in_proj_weight.copy_(torch.cat([layer["queries"].weight, layer["keys_values"].weight]))
            attention.in_proj_bias.copy_(torch.cat([layer["queries"].bias, layer["keys_values"].bias]))
            attention.out_proj.load_state_dict(layer["told"].state_dict())
            normed = layer["norm"](tokens)
            tokens = tokens + attention(normed, normed, normed)[0]
            tokens = tokens + layer["feed"](tokens)
        expected = network["head"](network["norm"](tokens[:, -1]))
        torch.testing.assert_close(recipe.answers(network, windows, shape), expected)
