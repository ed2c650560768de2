"""``models predict|verify|compare|export`` on models that were really trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
from cli_samples import Call

from executors import predictions as tables
from executors.cards import card_bytes, read_card
from executors.schema import load_schema

NAME, OTHER = "cs_fwd_ret_1d/LightGBM", "cs_y_up_1d/LightGBM"


@pytest.fixture
def here(trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained folder as working directory."""
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture
def doctored(here: Path, call: Call, folder: Path) -> Path:
    """A copy of the model that has other predictions on record, its digests all in order."""
    path = Path(call("models", "show", NAME, "--json").document["path"])
    copy = folder / "doctored"
    shutil.copytree(path, copy)
    table = pq.read_table(copy / tables.PARQUET)
    values = table.column("prediction").to_numpy() * 1.01
    place = table.column_names.index("prediction")
    pq.write_table(table.set_column(place, "prediction", [values.astype("float32")]), copy / tables.PARQUET)
    card = read_card(copy)
    card["files"][tables.PARQUET] = _digest(copy / tables.PARQUET)
    del card["sha256"]
    (copy / "card.json").write_bytes(card_bytes(card)[0])
    return copy


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_predictions_are_ndjson_and_parquet_as_well(here: Path, call: Call, folder: Path) -> None:
    """The same numbers in every form."""
    words = ("models", "predict", NAME, "--data-dir", "data", "--last", "3")
    csv = [line.split(",") for line in call(*words).lines[1:]]
    objects = [json.loads(line) for line in call(*words, "--json").lines]
    assert [[one["symbol"], one["time"], f"{one['prediction']:.9g}"] for one in objects] == csv
    done = call(*words, "--output", str(folder / "p.parquet"))
    assert done.err.startswith("6 predictions in ")
    table = pq.read_table(folder / "p.parquet")
    assert table.column_names == ["symbol", "time", "prediction"]
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert [f"{value:.9g}" for value in table.column("prediction").to_pylist()] == [row[2] for row in csv]


def test_quantiles_of_a_model_that_has_none_are_refused(here: Path, call: Call) -> None:
    """The answer names what to do instead."""
    done = call("models", "predict", NAME, "--data-dir", "data", "--quantiles")
    assert done.code == 3
    assert "it predicts no quantiles" in done.err


def test_a_model_is_verified_on_the_panel_of_its_plan_and_on_its_data(here: Path, call: Call) -> None:
    """Both ways every recorded prediction is made again."""
    done = call("models", "verify", NAME, "--json")
    assert (done.code, done.document["different"], done.document["rows"]) == (0, 0, 168)
    assert "bit for bit" in call("models", "verify", NAME, "--data-dir", "data").out
    checked = call("models", "predict", NAME, "--data-dir", "data", "--last", "1", "--check")
    assert checked.err.startswith("168 recorded predictions were made again")


def test_a_model_that_says_something_else_now_is_refused(here: Path, call: Call, doctored: Path) -> None:
    """By `verify`, by `predict --check` before the first line, and not by a wide tolerance."""
    done = call("models", "verify", str(doctored))
    assert done.code == 3
    assert "168 of 168 recorded predictions are now others" in done.err
    predicted = call("models", "predict", str(doctored), "--data-dir", "data", "--check")
    assert (predicted.code, predicted.out) == (3, "")
    assert call("models", "verify", str(doctored), "--tolerance", "1").code == 0


def test_without_the_plan_s_panel_the_data_must_be_named(here: Path, call: Call, folder: Path) -> None:
    """Another results directory has no panel: exit code 4 with the option."""
    path = call("models", "show", NAME, "--json").document["path"]
    done = call("models", "verify", path, "--results-dir", str(folder / "elsewhere"))
    assert done.code == 4
    assert "--data-dir" in done.err


def test_other_data_do_not_vouch_for_a_model(here: Path, call: Call, folder: Path) -> None:
    """Data with the same names and one feature upside down."""
    for file in (here / "data").iterdir():
        frame = pd.read_csv(file)
        frame["f0"] = -frame["f0"]
        (folder / "other").mkdir(exist_ok=True)
        frame.to_csv(folder / "other" / file.name, index=False)
    done = call("models", "verify", NAME, "--data-dir", str(folder / "other"))
    assert done.code == 3
    assert "recorded predictions are now others" in done.err


def test_models_are_compared_by_name_and_by_directory(here: Path, call: Call, doctored: Path) -> None:
    """A table and a document; the doctored copy says the same but for a factor."""
    done = call("models", "compare", NAME, str(doctored))
    assert done.lines[0] == "fwd_ret_1d: 2 models on 168 common test rows, by rank_corr_pooled"
    assert done.lines[-1].split()[-5:] == ["+0.000", "to", "+0.000", "no", "1.000"]
    document = call("models", "compare", NAME, str(doctored), "--json").document
    assert document["differences"][0]["ahead"]["value"] == 0.0
    assert set(document["models"]) == {NAME, str(doctored)}


def test_models_of_different_targets_are_not_compared(here: Path, call: Call) -> None:
    """Exit code 3 with both targets in the sentence."""
    done = call("models", "compare", NAME, OTHER)
    assert done.code == 3
    assert "its target is y_up_1d, that of cs_fwd_ret_1d/LightGBM is fwd_ret_1d" in done.err


@pytest.mark.parametrize("name", [NAME, OTHER])
def test_an_exported_model_is_a_file_that_says_what_it_wants(
    here: Path, call: Call, folder: Path, name: str
) -> None:
    """The shape of the input, the outputs, and how closely recorded predictions agree."""
    file = folder / "model.onnx"
    done = call("models", "export", name, "--onnx", str(file))
    assert done.code == 0
    assert "features (rows, 4) float32 -> pr" in done.out
    assert "168 recorded predictions agree within 1.0e-05" in done.out
    assert onnxruntime.InferenceSession(file).get_inputs()[0].shape == ["rows", 4]
    assert call("models", "export", name, "--onnx", str(file), "--json").document["rows"] == 168


def test_a_model_that_does_not_say_what_is_on_record_is_not_exported(
    here: Path, call: Call, doctored: Path, folder: Path
) -> None:
    """Exit code 3, and no file."""
    done = call("models", "export", str(doctored), "--onnx", str(folder / "model.onnx"))
    assert done.code == 3
    assert "nothing was written" in done.err
    assert not (folder / "model.onnx").exists()


def test_the_file_of_metrics_keeps_its_published_schema(here: Path) -> None:
    """One file a fit, beside the models."""
    files = sorted((here / "output").glob("*/metrics/*/*.json"))
    assert len(files) == 2
    for file in files:
        jsonschema.validate(json.loads(file.read_bytes()), load_schema("metrics"))


def test_a_card_shows_calibration_periods_symbols_and_curve(here: Path, call: Call) -> None:
    """What the evaluation holds is on the screen and in the document."""
    shown = call("models", "show", NAME).out
    for words in (
        "slope of label on prediction",
        "period",
        "AAA",
        "valid loss",
        "importance (tree shap)",
        "▁",
    ):
        assert words in shown, words
    assert "mean gap" in call("models", "show", OTHER).out
    document = call("models", "show", NAME, "--json").document
    assert document["evaluation"]["evaluation_version"] == 1
