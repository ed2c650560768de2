"""VAE, GAN, MultiTask and the Tab families as fits: what every family of the catalogue promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_children import contents
from executor_fits import bundle_of, outcome_of, stopped_at, with_another_future
from executor_panels import SYMBOLS, symbol_frame, write_panel
from small_fits import spec_of

from executors.bundle import Bundle, load_bundle
from executors.contract import FitSpec
from executors.errors import BadInput
from executors.families import resolve
from executors.windows import with_full_window
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

FAMILIES = ("VAE", "GAN", "MultiTask", "TabCNN", "TabLSTM", "TabTransformer")
TARGETS = {"fwd_ret_1d": "regression", "y_up_1d": "binary", "y_class_1d": "multiclass"}
CASES = [
    (family, target)
    for family in FAMILIES
    for target, task in TARGETS.items()
    if task in resolve(family).tasks
]

#: Quick ones that still learn: few bars, few epochs, high rates.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "VAE": {"epochs": 8},
    "GAN": {"epochs": 10, "learning_rate": 4e-3, "draws": 40},
    "MultiTask": {"epochs": 8, "learning_rate": 4e-3},
    "TabCNN": {"epochs": 4, "window": 4, "channels": 16, "learning_rate": 4e-3},
    "TabLSTM": {"epochs": 5, "window": 4, "learning_rate": 5e-3},
    "TabTransformer": {"epochs": 5, "window": 4, "layers": 1, "learning_rate": 3e-3},
}

_PREDICT = """
import sys
import numpy as np
from pathlib import Path
from executors import load_bundle
from panel.aligned import open_panel
panel = open_panel(Path(sys.argv[1]))
for path in sys.argv[2:]:
    bundle = load_bundle(Path(path))
    rows = np.flatnonzero(np.isin(panel.times, bundle.predictions().time))
    sys.stdout.buffer.write(bundle.predict(panel, rows).tobytes())
"""


def others_of(family: str, target: str) -> tuple[str, ...]:
    """Return what is learnt beside `target` by the family that shares."""
    return tuple(name for name in TARGETS if name != target) if family == "MultiTask" else ()


@pytest.fixture(scope="module")
def bundles(panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A small fit of each family."""
    folder = tmp_path_factory.mktemp("bundles")
    for family in FAMILIES:
        outcome_of(spec_of(family, panel, folder / family))
    return {family: load_bundle(folder / family / "bundle") for family in FAMILIES}


@pytest.mark.parametrize(("family", "target"), CASES)
def test_a_planted_signal_is_learnt_better_than_the_constant(
    make_spec: SpecMaker, tmp_path: Path, family: str, target: str
) -> None:
    """Of every kind of target the family takes, on rows nobody has seen."""
    others = others_of(family, target)
    spec = make_spec(family=family, target=target, params=QUICK[family], other_targets=others)
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    assert metrics["error_reduction"] > 0.01
    assert metrics["beats_no_skill"]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_found_in_noise(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """A target of pure noise is not predicted, whatever the training rows seemed to say."""
    others = others_of(family, "y_noise_1d")
    spec = make_spec(family=family, target="y_noise_1d", params=QUICK[family], other_targets=others)
    metrics = bundle_of(spec, tmp_path).card["metrics"]
    assert abs(metrics["score"]) < 3 * metrics["standard_error"]
    assert metrics["error_reduction"] < 0.02


def test_a_gan_refuses_classes_in_a_sentence(make_spec: SpecMaker) -> None:
    """The catalogue's reason, before anything is trained."""
    with pytest.raises(BadInput, match=r"GAN learns regression, not binary: it generates returns"):
        outcome_of(make_spec(family="GAN", target="y_up_1d"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_asked_to_stop_in_the_midst_of_epochs_comes_out_to_the_byte(
    panel: Panel, tmp_path: Path, bundles: dict[str, Bundle], family: str
) -> None:
    """Stopped at three steps and resumed each time: every player, average and buffer goes on as it was."""
    spec = replace(spec_of(family, panel, tmp_path), checkpoint_rounds=10**6)
    found, steps = stopped_at(spec, tmp_path, [2, 5, 9])
    assert len(steps) == 3
    assert found == contents(bundles[family].path)


@pytest.mark.parametrize(("family", "target"), [("MultiTask", "y_class_1d"), ("TabCNN", "y_class_1d")])
def test_classes_resume_as_well(panel: Panel, tmp_path: Path, family: str, target: str) -> None:
    """A target of several classes ends in the same bytes, stopped twice."""
    spec = spec_of(family, panel, tmp_path, target=target)
    expected = bundle_of(spec, tmp_path / "whole").path
    assert stopped_at(spec, tmp_path / "stopped", [4, 7])[0] == contents(expected)


def test_a_fresh_process_predicts_what_was_recorded(panel: Panel, bundles: dict[str, Bundle]) -> None:
    """Every bit, on another number of threads."""
    recorded = b"".join(bundle.predictions().prediction.tobytes() for bundle in bundles.values())
    paths = [str(bundle.path) for bundle in bundles.values()]
    command = [sys.executable, "-c", _PREDICT, str(panel.path), *paths]
    environment = {"OMP_NUM_THREADS": "2", "PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run(command, capture_output=True, check=True, env=environment).stdout == recorded


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_asked_apart_have_the_same_bits(panel: Panel, bundles: dict[str, Bundle], family: str) -> None:
    """In any order and number; NaN where a family of windows lacks one."""
    rows = np.random.default_rng(1).permutation(panel.rows)[:500]
    together = bundles[family].predict(panel, rows)
    apart = [bundles[family].predict(panel, part) for part in np.array_split(rows, 3)]
    assert np.concatenate(apart).tobytes() == together.tobytes()
    window = int(bundles[family].card["params"].get("window", 1))
    assert np.array_equal(np.isfinite(together), with_full_window(panel, rows, window))


@pytest.fixture(scope="module")
def other_future(tmp_path_factory: pytest.TempPathFactory, panel: Panel) -> Panel:
    """The panel with other features and labels in the part no model sees."""
    columns = [*panel.feature_names, "fwd_ret_1d", "y_noise_1d"]
    return with_another_future(tmp_path_factory.mktemp("future"), days=400, columns=columns)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_future_changes_neither_weights_nor_earlier_predictions(
    panel: Panel, other_future: Panel, tmp_path: Path, bundles: dict[str, Bundle], family: str
) -> None:
    """With the test part made up anew, the weights are the same bits and so is what is said of before."""
    again = bundle_of(spec_of(family, other_future, tmp_path), tmp_path)
    expected = bundles[family]
    assert again.files["model.safetensors"] == expected.files["model.safetensors"]
    before = np.concatenate([np.arange(own.start, own.start + 400) for own in map(panel.rows_of, SYMBOLS)])
    assert again.predict(other_future, before).tobytes() == expected.predict(panel, before).tobytes()
    assert (
        again.predict(other_future, before + 99).tobytes() != expected.predict(panel, before + 99).tobytes()
    )


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """A panel with a feature of one value and one that begins after the training rows."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["f5"] = np.float32(3.0)
        frame.loc[:400, "f6"] = np.nan
    return write_panel(tmp_path_factory.mktemp("worn"), frames)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_without_a_value_or_a_change_do_no_harm(worn: Panel, tmp_path: Path, family: str) -> None:
    """They are features like others: the fit ends, and its predictions are numbers."""
    features = tuple(name for name in worn.feature_names if name.startswith("f"))
    bundle = bundle_of(spec_of(family, worn, tmp_path, features=features), tmp_path)
    assert np.isfinite(bundle.predictions().prediction).all()
