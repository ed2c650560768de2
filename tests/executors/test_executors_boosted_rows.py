"""How boosted families read their rows: in blocks, binned like a matrix, weighted, without a float copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from executor_fits import bundle_of
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.contract import FitSpec
from executors.cpu import lightgbm_rows, xgboost_family
from executors.cpu.tree_shap import explained_rows, mean_absolute
from executors.dataset import FitData, fit_data
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILIES = ("LightGBM", "XGBoost")
SMALL: dict[str, Any] = {"rounds": 20, "chunk_rounds": 8, "patience": 20}
MODELS = {"LightGBM": "model.txt", "XGBoost": "model.ubj"}


def margins(family: str, files: Any, features: np.ndarray) -> np.ndarray:
    """Return the raw scores of a saved model."""
    if family == "LightGBM":
        return np.asarray(lightgbm.Booster(model_str=files["model.txt"].decode()).predict(features))
    model = xgboost.Booster(model_file=bytearray(files["model.ubj"]))
    return np.asarray(model.inplace_predict(features, predict_type="margin"))


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_of_rows_give_the_model_of_the_whole_matrix(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Rows that come in many small blocks are binned and weighted like rows that come at once."""
    spec = make_spec(family=family, params={**SMALL, "bins": 4096 if family == "XGBoost" else 255})
    whole = bundle_of(spec, tmp_path / "whole").files[MODELS[family]]
    monkeypatch.setattr(lightgbm_rows.PanelRows, "batch_size", 97)
    monkeypatch.setattr(xgboost_family, "_BLOCK_ROWS", 97)
    assert bundle_of(spec, tmp_path / "blocks").files[MODELS[family]] == whole


@pytest.mark.parametrize("family", FAMILIES)
def test_no_more_than_a_block_is_read_at_once(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Training asks the panel for some rows at a time; what is held of all rows are bins."""
    monkeypatch.setattr(lightgbm_rows.PanelRows, "batch_size", 100)
    monkeypatch.setattr(lightgbm_rows, "_EDGE_ROWS", 200)
    monkeypatch.setattr(xgboost_family, "_BLOCK_ROWS", 100)
    asked: list[int] = []
    features_at = FitData.features_at

    def counted(self: FitData, rows: Any) -> Any:
        asked.append(len(rows))
        return features_at(self, rows)

    monkeypatch.setattr(FitData, "features_at", counted)
    card = bundle_of(make_spec(family=family, params=SMALL), tmp_path).card
    assert max(asked) <= 200
    assert card["split"]["rows_train"] > 1000
    assert card["metrics"]["score"] > 0.2


@pytest.mark.parametrize("family", FAMILIES)
def test_edges_of_few_rows_are_as_good(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Bins whose edges come from a part of the rows cost no skill."""
    scores = []
    for rows in (10**6, 500):
        monkeypatch.setattr(lightgbm_rows, "_EDGE_ROWS", rows)
        spec = make_spec(family=family, params={"rounds": 60, "learning_rate": 0.1})
        scores.append(bundle_of(spec, tmp_path / str(rows)).card["metrics"]["score"])
    assert scores[1] == pytest.approx(scores[0], abs=0.05)


@pytest.mark.parametrize("family", [*FAMILIES, "QuantileLightGBM"])
def test_labels_that_overlap_weigh_less(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """Where bars are missing labels share fewer of them: the model is another one than without weights."""
    frames = {s: symbol_frame(s, place) for place, s in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["fwd_ret_5d"] = frame["fwd_ret_1d"].rolling(5).sum().shift(-4).astype(np.float32)
    late = {s: frame.iloc[place * 60 :] for place, (s, frame) in enumerate(frames.items())}
    for frame in late.values():
        frame.loc[frame.index[100:200:2], "fwd_ret_5d"] = np.nan
    panel = write_panel(tmp_path, late)
    base = {"family": family, "target": "fwd_ret_5d", "panel_path": panel.path, "panel_key": panel.key}
    files = [
        bundle_of(make_spec(**base, params={**SMALL, "overlap_weights": weigh}), tmp_path / str(weigh)).files
        for weigh in (0, 1)
    ]
    models = [name for name in files[0] if name.endswith((".txt", ".ubj"))]
    assert models
    assert all(files[0][name] != files[1][name] for name in models)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_of_weight_two_counts_like_two_rows(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """The first round's answer begins at the weighted mean of the training labels."""
    spec = make_spec(
        family=family, params={"rounds": 1, "learning_rate": 1e-6, "row_share": 1.0, "feature_share": 1.0}
    )
    data = fit_data(spec)
    raised = np.where(data.labels_at(data.train) > 0, 2.0, 0.5).astype(np.float32)
    monkeypatch.setattr("executors.session.row_weights", lambda data, params: raised / raised.mean())
    files = bundle_of(spec, tmp_path).files
    expected = np.average(data.encoded_at(data.train), weights=raised)
    np.testing.assert_allclose(margins(family, files, data.features_at(data.test)), expected, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("target", ["y_up_1d", "y_class_1d"])
def test_balanced_classes_train_another_model_that_still_says_the_data_s_probabilities(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path, family: str, target: str
) -> None:
    """The weights reach the library and are undone in what it says."""
    del panel
    spec = make_spec(family=family, target=target, params={**SMALL, "learning_rate": 0.1})
    plain = bundle_of(spec, tmp_path / "plain")
    even = bundle_of(replace(spec, params={**spec.params, "class_balance": 1.0}), tmp_path / "even")
    assert plain.files[MODELS[family]] != even.files[MODELS[family]]
    assert even.card["metrics"]["error_reduction"] > 0.03


@pytest.mark.parametrize("family", [*FAMILIES, "QuantileLightGBM"])
def test_importances_are_tree_shap_and_find_the_planted_features(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """The features of the signal stand above all others, by SHAP values that add up to the score."""
    params = {"rounds": 60, "learning_rate": 0.1}
    card = bundle_of(make_spec(family=family, params=params), tmp_path).card
    assert card["importance_method"] == "tree_shap"
    ranked = sorted(card["importances"], key=card["importances"].__getitem__, reverse=True)
    assert ranked[:2] == ["f0", "f1"]
    assert set(card["gains"]) == set(card["features"])
    assert max(card["gains"], key=card["gains"].__getitem__) == "f0"


def test_mean_absolute_values_leave_out_what_all_rows_begin_with() -> None:
    """Of one output and of several, by feature; the last column is no feature's."""
    one = np.array([[1.0, -2.0, 9.0], [-3.0, 0.0, 9.0]])
    assert mean_absolute(("a", "b"), one) == {"a": 2.0, "b": 1.0}
    several = np.stack([one, 2 * one], axis=1)  # (rows, classes, features + 1)
    assert mean_absolute(("a", "b"), several) == {"a": 6.0, "b": 3.0}
    assert mean_absolute(("a", "b"), several.reshape(2, 6)) == {"a": 6.0, "b": 3.0}


@pytest.mark.parametrize(("work", "count"), [(0.0, 100), (1e8, 1000), (1e12, 2000)])
def test_as_many_rows_are_explained_as_the_growing_affords(work: float, count: int) -> None:
    """At least 100 and at most 2,000, from the first validation row to the last; all of fewer."""
    valid = np.arange(50, 5050, dtype=np.int64)
    rows = explained_rows(valid, round_work=work, round_leaves=100 / 3)
    assert len(rows) == count
    assert (rows[0], rows[-1]) == (50, 5049)
    assert len(explained_rows(valid[:30], round_work=work, round_leaves=1.0)) == 30
