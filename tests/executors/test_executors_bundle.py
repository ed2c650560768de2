"""Saved models: whole, checked, self-contained, and predicting the same bits everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from executor_children import contents
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.bundle import load_bundle
from executors.cards import CARD_NAME, card_bytes, cards, read_card
from executors.contract import FitSpec, Succeeded
from executors.errors import BundleDamaged
from executors.training import fit_once
from panel.aligned import Panel, open_panel
from panel.errors import UnknownColumn

SpecMaker = Callable[..., FitSpec]

SMALL = {
    "LightGBM": {"rounds": 20},
    "XGBoost": {"rounds": 20},
    "LSTM": {"epochs": 1, "hidden": 8, "window": 5},
}
TARGETS = ("fwd_ret_1d", "y_up_1d", "y_class_1d")


def fitted(spec: FitSpec) -> Path:
    """Do the fit and return its bundle's directory."""
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return Path(outcome.bundle)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", SMALL)
def test_predictions_of_the_loaded_bundle_are_the_recorded_ones_bit_for_bit(
    make_spec: SpecMaker, panel: Panel, family: str, target: str
) -> None:
    """Test rows found by symbol and time in the panel are predicted as they were recorded."""
    bundle = load_bundle(fitted(make_spec(family=family, target=target, params=SMALL[family])))
    recorded = bundle.predictions()
    row_of = {
        (panel.symbols[code], time): row
        for row, (code, time) in enumerate(
            zip(panel.symbol_codes.tolist(), panel.times.tolist(), strict=True)
        )
    }
    rows = np.array([row_of[key] for key in zip(recorded.symbol, recorded.time.tolist(), strict=True)])
    predicted = bundle.predict(panel, rows)
    if target == "y_class_1d":
        assert predicted.tobytes() == np.ascontiguousarray(recorded.probabilities).tobytes()
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
        assert set(recorded.prediction.tolist()) <= {0.0, 1.0, 2.0}
    else:
        assert predicted.tobytes() == recorded.prediction.tobytes()
    assert np.array_equal(recorded.label, panel.values(target)[rows])


def test_another_process_predicts_the_same_bits_whatever_rows_it_asks_for(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel
) -> None:
    """A fresh process with other thread settings, asked for a few rows backwards, agrees bit for bit."""
    rows = np.arange(2000, 2900, 7)[::-1].copy()
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from executors import load_bundle\n"
        "from panel.aligned import open_panel\n"
        "rows = np.arange(2000, 2900, 7)[::-1].copy()\n"
        "panel = open_panel(Path(sys.argv[1]))\n"
        "for path in sys.argv[2:]:\n"
        "    sys.stdout.buffer.write(load_bundle(Path(path)).predict(panel, rows).tobytes())\n"
    )
    paths = []
    for family, params in SMALL.items():
        where = {"checkpoint_dir": tmp_path / family / "c", "bundle_path": tmp_path / family / "b"}
        paths.append(fitted(make_spec(family=family, params=params, **where)))
    command = [sys.executable, "-c", code, str(panel.path), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=True, env={"OMP_NUM_THREADS": "2"})
    everything = [load_bundle(path).predict(panel, np.arange(panel.rows))[rows] for path in paths]
    assert done.stdout == b"".join(predicted.tobytes() for predicted in everything)
    assert np.isfinite(everything).mean() > 0.99  # all but the beginnings of symbols


@pytest.mark.parametrize("family", SMALL)
def test_nothing_of_the_test_rows_goes_into_a_model(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """Other features and labels in the last fifth give the same model and preprocessing, byte for byte."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    changed = {symbol: frame.copy() for symbol, frame in frames.items()}
    random = np.random.default_rng(99)
    for frame in changed.values():
        for name in ("f0", "f1", "f7", "fwd_ret_1d"):
            frame.loc[400:, name] = random.standard_normal(100).astype(np.float32) * 50
    bundles = []
    for name, data in (("as-it-was", frames), ("changed", changed)):
        panel = write_panel(tmp_path / name, data)
        where = {"checkpoint_dir": tmp_path / name / "c", "bundle_path": tmp_path / name / "b"}
        spec = make_spec(family=family, params=SMALL[family], panel_path=panel.path, panel_key=panel.key)
        bundles.append(contents(fitted(replace(spec, **where))))
    before, after = bundles
    models = [name for name in before if name.startswith(("model", "preprocessing"))]
    assert len(models) >= 2
    assert {name: before[name] for name in models} == {name: after[name] for name in models}
    assert before["predictions.parquet"] != after["predictions.parquet"]


@pytest.mark.parametrize("family", SMALL)
def test_a_prediction_depends_on_its_symbol_s_rows_up_to_its_own_alone(
    make_spec: SpecMaker, tmp_path: Path, panel: Panel, family: str
) -> None:
    """Features later or of another symbol change no bit; an own earlier one changes the LSTM's."""
    bundle = load_bundle(fitted(make_spec(family=family, params=SMALL[family])))
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame.loc[300:, "f0"] = 5.0
    frames["BBB"]["f1"] = -3.0
    later = write_panel(tmp_path / "later", frames)
    rows = np.concatenate(
        [np.arange(own.start, own.start + 300) for own in map(panel.rows_of, ("AAA", "CCC"))]
    )
    assert bundle.predict(later, rows).tobytes() == bundle.predict(panel, rows).tobytes()
    changed = bundle.predict(later, rows + 200) != bundle.predict(panel, rows + 200)
    assert changed.any()
    frames["AAA"].loc[296, "f0"] = 9.0
    earlier = bundle.predict(write_panel(tmp_path / "earlier", frames), np.arange(299, 300))
    before = bundle.predict(later, np.arange(299, 300))
    assert (earlier != before).all() == (family == "LSTM")


def test_preprocessing_is_fitted_on_the_training_rows_alone(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Other values in the validation rows change the network, not what is subtracted and divided by."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    changed = {symbol: frame.copy() for symbol, frame in frames.items()}
    for frame in changed.values():
        frame.loc[340:, ["f0", "fwd_ret_1d"]] *= 9.0
    outlines = []
    for name, data in (("as-it-was", frames), ("changed", changed)):
        panel = write_panel(tmp_path / name, data)
        where = {"checkpoint_dir": tmp_path / name / "c", "bundle_path": tmp_path / name / "b"}
        spec = make_spec(family="LSTM", params=SMALL["LSTM"], panel_path=panel.path, panel_key=panel.key)
        outlines.append(contents(fitted(replace(spec, **where)))["preprocessing.json"])
    assert outlines[0] == outlines[1]


def test_the_card_says_what_the_model_is_and_not_when_or_how_often_it_was_tried(make_spec: SpecMaker) -> None:
    """Identity, data, settings, metrics and digests are there; attempt, times and paths are not."""
    spec = make_spec(params={"rounds": 20}, attempt=3, fence=17)
    path = fitted(spec)
    card = read_card(path)
    assert card["features"] == [f"f{number}" for number in range(8)]
    assert (card["family"], card["task"], card["horizon_bars"]) == ("LightGBM", "regression", 1)
    assert card["panel_key"] == spec.panel_key
    assert card["params"]["rounds"] == 20
    assert card["params"]["learning_rate"] == 0.05
    assert set(card["importances"]) == set(card["features"])
    assert max(card["importances"], key=card["importances"].get) in {"f0", "f1"}
    assert len(card["curve"]["valid_loss"]) == card["steps"] == 20
    assert sorted([*card["files"], CARD_NAME]) == sorted(contents(path))
    text = (path / CARD_NAME).read_text()
    assert "attempt" not in text
    assert str(spec.checkpoint_dir.parent) not in text


def test_a_bundle_written_twice_stays_and_one_of_other_bytes_is_replaced(make_spec: SpecMaker) -> None:
    """An attempt that died before it could report success leaves nothing to repair."""
    spec = make_spec(params={"rounds": 10})
    first = fitted(spec)
    inode = first.stat().st_ino
    assert fitted(replace(spec, fence=2)).stat().st_ino == inode
    (first / "model.txt").write_bytes(b"damaged")
    good = load_bundle(fitted(replace(spec, fence=3)))
    assert good.files["model.txt"] != b"damaged"
    assert [entry.name for entry in first.parent.glob(".*bundle*")] == []


def test_the_card_says_how_rows_were_weighed_and_what_labels_mean(make_spec: SpecMaker) -> None:
    """Weights, the label code, importances and their method, and nothing that is not there."""
    spec = make_spec(
        target="y_class_1d", params={"rounds": 5, "class_balance": 0.5}, blocked_features=("f7",)
    )
    card = read_card(fitted(spec))
    assert card["card_version"] == 2
    assert (card["weights"]["overlap"], card["weights"]["class_balance"]) == (True, 0.5)
    assert card["weights"]["by_class"] == card["labels"]["class_weights"]
    assert len(card["weights"]["by_class"]) == 3
    assert card["labels"]["classes"] == card["classes"] == [0.0, 1.0, 2.0]
    assert (card["quantile_levels"], card["parts"], card["other_targets"]) == ([], [], [])
    assert (card["blocked_features"], "f7" in card["features"]) == (["f7"], False)


@pytest.mark.parametrize("version", [0, 3, None, "2"])
def test_a_card_of_a_version_yet_unknown_is_refused(make_spec: SpecMaker, version: object) -> None:
    """It is not read as if it were one of ours; the sentence says which versions are."""
    path = fitted(make_spec(params={"rounds": 2}))
    card = {**read_card(path), "card_version": version}
    del card["sha256"]
    (path / CARD_NAME).write_bytes(card_bytes(card)[0])
    with pytest.raises(BundleDamaged, match="no version from 1 to 2"):
        load_bundle(path)


@pytest.mark.parametrize(
    "name",
    ["model.txt", "preprocessing.json", "predictions.parquet", "evaluation.json", "curve.svg", CARD_NAME],
)
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_bundle_is_refused(make_spec: SpecMaker, name: str, damage: str) -> None:
    """Whatever file is hurt, loading says which bundle and what about it."""
    path = fitted(make_spec(params={"rounds": 5}))
    file = path / name
    if damage == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    with pytest.raises(BundleDamaged, match="train the fit again") as caught:
        load_bundle(path)
    assert name in str(caught.value) or name == CARD_NAME


def test_cards_finds_every_bundle_and_names_what_it_cannot_read(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A damaged card is listed with its problem; drafts are not listed."""
    models = tmp_path / "models"
    spec = make_spec(params={"rounds": 5})
    fitted(replace(spec, bundle_path=models / "a" / "good"))
    fitted(replace(spec, bundle_path=models / "b", target="y_up_1d", checkpoint_dir=tmp_path / "c2"))
    (models / ".draft").mkdir()
    (models / ".draft" / CARD_NAME).write_text("{}")
    card = models / "b" / CARD_NAME
    values = json.loads(card.read_text())
    card.write_text(json.dumps({**values, "seed": 8}))
    found = list(cards(models))
    assert [entry.path.name for entry in found] == ["good", "b"]
    assert found[0].card is not None
    assert found[0].card["target"] == "fwd_ret_1d"
    assert found[1].card is None
    assert "was changed" in str(found[1].problem)


def test_a_panel_without_the_features_is_refused(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Predicting on other data needs the columns the model was trained on."""
    path = fitted(make_spec(params={"rounds": 5}))
    other = write_panel(tmp_path / "other", {"A": symbol_frame("A", 0, features=4)})
    with pytest.raises(UnknownColumn, match="f4"):
        load_bundle(path).predict(other, np.arange(10))


def test_a_bundle_predicts_on_data_of_another_day(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A new symbol is predicted from its features alone; rows too early for a window are NaN."""
    other = open_panel(write_panel(tmp_path / "other", {"NEW": symbol_frame("NEW", 77, days=120)}).path)
    for family, unknown in (("XGBoost", 0), ("LSTM", 4)):
        spec = make_spec(family=family, params=SMALL[family])
        where = {"checkpoint_dir": tmp_path / family / "c", "bundle_path": tmp_path / family / "b"}
        predicted = load_bundle(fitted(replace(spec, **where))).predict(other, np.arange(other.rows))
        assert np.isnan(predicted[:unknown]).all()
        assert np.isfinite(predicted[unknown:]).all()
