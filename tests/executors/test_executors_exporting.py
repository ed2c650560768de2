"""ONNX files: what is inside the graph, and that no wrong graph gets out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.bundle import Bundle, load_bundle
from executors.contract import FitSpec, Succeeded
from executors.errors import BadInput, ReplayFailed
from executors.exporting import export, trees
from executors.exporting.export import TOLERANCE, export_onnx
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

FAMILIES: dict[str, dict[str, Any]] = {
    "LightGBM": {"rounds": 10},
    "XGBoost": {"rounds": 10},
    "NGBoost": {"rounds": 8},
    "FTRLProximal": {"passes": 2},
    "MetaLearning": {"steps": 2, "episode_batches": 2},
    "MLP": {"epochs": 1, "hidden": 8},
}


def fitted(spec: FitSpec) -> Bundle:
    """The bundle of a fit."""
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return load_bundle(spec.bundle_path)


def answers(file: Path, **given: np.ndarray) -> np.ndarray:
    """The first output of a file."""
    found: np.ndarray = onnxruntime.InferenceSession(file).run(None, given)[0]
    return found


@pytest.mark.parametrize("target", ["y_up_1d", "y_class_1d"])
@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_leave_the_graph_without_the_weights_of_training(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, family: str, target: str
) -> None:
    """Classes balanced in training: what the graph says is the bundle's, of the data as it is."""
    bundle = fitted(
        make_spec(family=family, target=target, params={**FAMILIES[family], "class_balance": 1.0})
    )
    assert len(bundle.card["weights"]["by_class"]) == len(bundle.card["classes"])
    found = export_onnx(bundle, panel, tmp_path / "model.onnx")
    assert found.largest <= TOLERANCE
    assert found.outputs == ("probability" if target == "y_up_1d" else "probabilities",)


@pytest.mark.parametrize(
    ("family", "params"),
    [("LightGBM", {"rounds": 3, "l1": 1e6}), ("XGBoost", {"rounds": 3, "min_gain": 1e6})],
)
@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_class_1d"])
def test_a_model_that_found_nothing_is_a_graph_that_says_one_number(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, family: str, params: dict[str, Any], target: str
) -> None:
    """Trees without a split: each row gets the same answer."""
    bundle = fitted(make_spec(family=family, target=target, params=params))
    export_onnx(bundle, panel, tmp_path / "model.onnx")
    said = answers(tmp_path / "model.onnx", features=panel.matrix(bundle.card["features"], np.arange(50)))
    assert (said == said[0]).all()


def test_what_was_never_missing_in_training_may_be_missing_later(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """LightGBM takes a missing value for 0 then, and an infinite one for missing; the graph does the same."""
    bundle = fitted(make_spec(features=("f0", "f1"), params={"rounds": 20}))
    export_onnx(bundle, panel, tmp_path / "model.onnx")
    rows = panel.matrix(("f0", "f1"), np.arange(40)).copy()
    rows[::2, 0], rows[1::2, 1] = np.nan, np.inf
    as_zero = np.where(np.isfinite(rows), rows, 0).astype(np.float32)
    file = tmp_path / "model.onnx"
    assert answers(file, features=rows).tolist() == answers(file, features=as_zero).tolist()


def test_a_symbol_never_seen_gets_the_weights_before_adaptation(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """MetaLearning: the input `symbol` is -1 for it, as the bundle predicts it."""
    bundle = fitted(make_spec(family="MetaLearning", params=FAMILIES["MetaLearning"]))
    export_onnx(bundle, panel, tmp_path / "model.onnx")
    other = write_panel(tmp_path / "other", {"NEW": symbol_frame("NEW", 70)})
    rows = np.arange(other.rows)
    given = other.matrix(bundle.card["features"], rows)
    said = answers(tmp_path / "model.onnx", features=given, symbol=np.full(len(rows), -1))
    np.testing.assert_allclose(said, bundle.predict(other, rows), rtol=1e-5, atol=1e-8)
    wrong = answers(tmp_path / "model.onnx", features=given, symbol=np.zeros(len(rows), dtype=np.int64))
    assert not np.allclose(wrong, said, rtol=1e-5)


def missing_the_other_way(structure: dict[str, Any]) -> trees.Tree:
    """A mutant: a missing value goes the other way."""
    return [replace(node, missing_left=not node.missing_left) for node in RIGHT(structure)]


def above_instead_of_at_most(structure: dict[str, Any]) -> trees.Tree:
    """A mutant: rows that pass a test are sent where others belong."""
    return [replace(node, left=node.right, right=node.left) for node in RIGHT(structure)]


def leaves_a_little_off(structure: dict[str, Any]) -> trees.Tree:
    """A mutant: every leaf says a little more than it should."""
    return [replace(node, value=node.value * 1.001) for node in RIGHT(structure)]


RIGHT = trees._lightgbm_tree


@pytest.mark.parametrize("mutant", [missing_the_other_way, above_instead_of_at_most, leaves_a_little_off])
def test_a_graph_that_says_anything_else_is_refused_and_nothing_is_left_behind(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Any
) -> None:
    """Also where only rows with missing values differ, and where another file stood, which stays."""
    bundle = fitted(make_spec(params={"rounds": 20}))
    place = tmp_path / "exported"
    place.mkdir()
    (place / "model.onnx").write_bytes(b"an older one")
    monkeypatch.setattr(trees, "_lightgbm_tree", mutant)
    with pytest.raises(ReplayFailed, match="nothing was written"):
        export_onnx(bundle, panel, place / "model.onnx")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"model.onnx": b"an older one"}


def test_data_without_the_recorded_rows_cannot_vouch_for_a_graph(
    make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Other data than the model's: nothing can be compared, nothing is written."""
    bundle = fitted(make_spec(params={"rounds": 2}))
    other = write_panel(tmp_path / "other", {"NEW": symbol_frame("NEW", 70)})
    with pytest.raises(ReplayFailed, match="none of its recorded rows is in this data"):
        export_onnx(bundle, other, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_missing_library_is_named_with_its_install_line(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is not everywhere."""
    bundle = fitted(make_spec(params={"rounds": 2}))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        export.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
    )
    with pytest.raises(
        BadInput, match=r"onnxruntime not installed; install with: pip install 'trainwright\[onnx\]'"
    ):
        export_onnx(bundle, panel, tmp_path / "model.onnx")


def test_a_family_whose_library_is_missing_is_named_with_its_install_line(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained elsewhere, exported here: torch is not in this environment."""
    bundle = fitted(make_spec(family="MLP", params=FAMILIES["MLP"]))
    monkeypatch.setattr(
        export, "availability", lambda family: "library torch not installed; install with: pip"
    )
    with pytest.raises(BadInput, match="library torch not installed; install with"):
        export_onnx(bundle, panel, tmp_path / "model.onnx")


def test_the_same_bundle_gives_the_same_file(make_spec: SpecMaker, panel: Panel, tmp_path: Path) -> None:
    """Byte for byte, and the file names the bundle it came from."""
    bundle = fitted(make_spec(params={"rounds": 5}))
    digests = {export_onnx(bundle, panel, tmp_path / f"{number}.onnx").sha256 for number in range(2)}
    assert len(digests) == 1
    facts = onnxruntime.InferenceSession(tmp_path / "0.onnx").get_modelmeta().custom_metadata_map
    assert (facts["bundle"], facts["target"]) == (bundle.sha256, "fwd_ret_1d")


def test_blanked_rows_are_a_tenth_of_the_values_and_always_the_same(panel: Panel) -> None:
    """Asked for one row or for all, a value is missing or it is not."""
    blanked = export.BlankedPanel(panel)
    names = panel.feature_names
    whole = blanked.matrix(names)
    assert np.isnan(whole).mean() == pytest.approx(0.1 + 0.05 / len(names), abs=0.01)
    rows = np.array([7, 2999, 13])
    assert np.array_equal(blanked.matrix(names[::-1], rows)[:, ::-1], whole[rows], equal_nan=True)
    assert blanked.symbols == SYMBOLS
