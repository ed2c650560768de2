"""Saved models that an earlier version wrote stay readable, and say for ever what they said."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from executors.bundle import load_bundle
from executors.cards import CARD_VERSION, cards
from executors.comparing import compare_bundles
from executors.exporting.export import TOLERANCE, export_onnx
from executors.replaying import replay
from executors.schema import load_schema
from panel import Panel, prepare_panel

HERE = Path(__file__).parent
FOLDERS = sorted(HERE.glob("bundles_v*"))
BUNDLES = sorted(card.parent for folder in FOLDERS for card in folder.rglob("card.json"))


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The data the models were trained on."""
    return prepare_panel(FOLDERS[0] / "data", symbols=None, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_golden_bundle_predicts_what_it_has_on_record(path: Path, panel: Panel) -> None:
    """Its card keeps the schema, its files their digests, its predictions every bit."""
    bundle = load_bundle(path)
    jsonschema.validate(json.loads((path / "card.json").read_bytes()), load_schema("card"))
    assert bundle.card["panel_key"] == panel.key
    found = replay(bundle, panel)
    assert (found.rows, found.missing, found.different) == (60, 0, 0)


def test_a_card_of_version_1_is_given_what_it_does_not_say() -> None:
    """Version and digest stay its own; no row was weighed then, and trees told their gain."""
    found = [entry.card for entry in cards(FOLDERS[0])]
    assert len(found) == 2
    for card in found:
        assert card is not None
        assert card["card_version"] == 1 < CARD_VERSION
        assert (card["importance_method"], card["weights"]["overlap"], card["parts"]) == ("gain", False, [])
        jsonschema.validate(card, load_schema("card"))


def test_a_bundle_of_version_1_is_compared_and_exported_like_any_other(panel: Panel, tmp_path: Path) -> None:
    """It has no evaluation beside its card, and needs none for that."""
    bundles = {path.name: load_bundle(path) for path in BUNDLES}
    assert bundles["LightGBM"].evaluation == {}
    assert bundles["LightGBM"].predictions().levels == ()
    compared = compare_bundles({"one": bundles["XGBoost"], "other": bundles["XGBoost"]})
    assert compared.differences[0].ahead.value == 0.0
    for name, bundle in bundles.items():
        assert export_onnx(bundle, panel, tmp_path / f"{name}.onnx").largest <= TOLERANCE
