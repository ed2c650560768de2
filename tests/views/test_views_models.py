"""What a bundle says of its model, whole or damaged."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from cli_samples import BROKEN, TRAINED

from daemon.views.documents import document_text
from daemon.views.models import model_of
from store import PlanStore
from store.reading import open_reader
from store.records import FitRow

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "bundles_v1" / "LightGBM"


@pytest.fixture
def fit(filled: PlanStore, tmp_path: Path) -> FitRow:
    """A finished fit with a bundle that may be spoiled."""
    shutil.copytree(GOLDEN, tmp_path / "bundle")
    sha256 = json.loads((GOLDEN / "card.json").read_bytes())["sha256"]
    row = filled.reading.fit(TRAINED)
    return dataclasses.replace(row, bundle=str(tmp_path / "bundle"), bundle_sha256=sha256)


def test_a_model_is_told_with_its_importances_in_order(fit: FitRow) -> None:
    """The most important feature comes first, the shares make one, every file has its size."""
    told = model_of(fit)
    assert told is not None
    assert told.problem is None
    values = [one.value for one in told.importances]
    assert values == sorted(values, reverse=True)
    assert sum(one.share for one in told.importances) == pytest.approx(1.0)
    assert {one.feature: one.value for one in told.importances} == told.card["importances"]
    assert {file.name for file in told.files} == {"card.json", *told.card["files"]}
    assert told.bytes == sum(path.stat().st_size for path in GOLDEN.iterdir())
    assert json.loads(document_text({"model": told.document}))["model"]["fit"] == TRAINED


def test_a_fit_without_a_model_has_none(filled: PlanStore) -> None:
    """One that failed left nothing."""
    assert model_of(filled.reading.fit(BROKEN)) is None


def test_a_bundle_that_is_gone_is_told_in_a_sentence(filled: PlanStore) -> None:
    """On another machine there is only the log."""
    told = model_of(filled.reading.fit(TRAINED))
    assert told is not None
    assert told.problem is not None
    assert "no card.json" in told.problem
    assert (told.card, told.files, told.bytes) == ({}, (), 0)


@pytest.mark.parametrize("odd", ["NaN", "-1e999", '"\\ud800"', "[" * 900 + "]" * 900])
def test_a_card_with_what_is_never_written_is_told(fit: FitRow, odd: str) -> None:
    """Numbers and letters that have no digest are damage like any other."""
    card = Path(fit.bundle or "") / "card.json"
    card.write_text(card.read_text(encoding="utf-8").replace("{", f'{{"odd": {odd},', 1), encoding="utf-8")
    told = model_of(fit)
    assert told is not None
    assert told.problem is not None
    assert (told.card, told.files) == ({}, ())


def test_a_damaged_card_is_told_and_nothing_of_it_is_believed(fit: FitRow) -> None:
    """A card that was changed has a digest that does not fit."""
    card = Path(fit.bundle or "") / "card.json"
    card.write_text(card.read_text(encoding="utf-8").replace('"cpu"', '"gpu"'), encoding="utf-8")
    told = model_of(fit)
    assert told is not None
    assert "was changed after it was written" in str(told.problem)
    assert told.card == {}


def test_a_missing_file_and_another_bundle_are_told_beside_what_can_be_read(fit: FitRow) -> None:
    """The card is whole: it is shown, with the problem."""
    (Path(fit.bundle or "") / "model.txt").unlink()
    told = model_of(fit)
    assert told is not None
    assert "model.txt is missing" in str(told.problem)
    assert told.importances
    other = model_of(dataclasses.replace(fit, bundle_sha256="0" * 64))
    assert other is not None
    assert "another one than was recorded" in str(other.problem)


def test_the_account_of_a_really_trained_model_is_told(trained: Path) -> None:
    """Calibration and scores by period come with it, and a damaged one is told."""
    with open_reader(f"sqlite:///{trained}/results/trainwright.db") as reader:
        fit = reader.fits(states=("succeeded",))[0]
    told = model_of(fit)
    assert told is not None
    assert told.problem is None
    assert told.evaluation["by_period"]
    assert told.importance_method != "none"


def test_a_damaged_account_is_told(trained: Path, tmp_path: Path) -> None:
    """The rest of the model is told all the same."""
    with open_reader(f"sqlite:///{trained}/results/trainwright.db") as reader:
        fit = reader.fits(states=("succeeded",))[0]
    shutil.copytree(str(fit.bundle), tmp_path / "bundle")
    (tmp_path / "bundle" / "evaluation.json").write_text("{", encoding="utf-8")
    told = model_of(dataclasses.replace(fit, bundle=str(tmp_path / "bundle")))
    assert told is not None
    assert "evaluation.json is damaged" in str(told.problem)
    assert told.evaluation == {}
    assert told.importances
