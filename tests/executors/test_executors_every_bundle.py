"""What holds for the bundle of every family: its documents, its predictions, its files, its ONNX graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import onnxruntime
import pytest
from pickles import pickle_in
from small_fits import FITS, spec_of

from executors.bundle import Bundle, load_bundle
from executors.contract import Succeeded
from executors.errors import BadInput
from executors.exporting.export import TOLERANCE, export_onnx
from executors.replaying import replay
from executors.schema import load_schema
from executors.training import fit_once
from panel.aligned import Panel

BundleOf = Callable[[str], Bundle]

#: Families that no graph of single rows can say, and a word of the reason.
WITHOUT = {"GMMRegime": "filtered", "ChangePoint": "looks for changes"}
QUANTILES = {"QuantileLightGBM", "NGBoost", "GAN"}


@pytest.fixture(scope="module")
def bundle_of(panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """Return the bundle of a family's small fit; each is trained once."""
    folder = tmp_path_factory.mktemp("bundles")
    found: dict[str, Bundle] = {}

    def of(family: str) -> Bundle:
        if family not in found:
            spec = spec_of(family, panel, folder / family)
            outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
            assert isinstance(outcome, Succeeded)
            found[family] = load_bundle(Path(outcome.bundle))
        return found[family]

    return of


@pytest.mark.parametrize("family", FITS)
def test_card_and_evaluation_keep_their_published_schema(bundle_of: BundleOf, family: str) -> None:
    """Every written document validates, and says of every feature what it is worth and how that was found."""
    bundle = bundle_of(family)
    jsonschema.validate(json.loads((bundle.path / "card.json").read_bytes()), load_schema("card"))
    jsonschema.validate(bundle.evaluation, load_schema("evaluation"))
    assert set(bundle.card["importances"]) == set(bundle.card["features"])
    assert bundle.card["importance_method"] != "none"
    assert bundle.evaluation["calibration"]["rows"] == bundle.card["split"]["rows_test"]
    assert (bundle.evaluation["distribution"] is not None) == (family in QUANTILES)
    assert bool(bundle.card["quantile_levels"]) == (family in QUANTILES)


@pytest.mark.parametrize("family", FITS)
def test_a_loaded_bundle_predicts_what_it_has_on_record_bit_for_bit(
    bundle_of: BundleOf, panel: Panel, family: str
) -> None:
    """Predictions and quantiles of all test rows, from the files alone."""
    bundle = bundle_of(family)
    found = replay(bundle, panel)
    assert (found.missing, found.different) == (0, 0)
    assert found.rows == bundle.card["split"]["rows_test"]
    assert len(bundle.predictions().levels) == (5 if family in QUANTILES else 0)


def test_a_fresh_process_says_of_every_bundle_what_is_on_record(bundle_of: BundleOf, panel: Panel) -> None:
    """All twenty, loaded from disk with another number of threads; rows whose bits differ, by family."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from executors.bundle import load_bundle\n"
        "from executors.replaying import replay\n"
        "from panel.aligned import open_panel\n"
        "panel = open_panel(Path(sys.argv[1]))\n"
        "found = [replay(load_bundle(Path(path)), panel) for path in sys.argv[2:]]\n"
        "print(json.dumps([[one.missing, one.different] for one in found]))\n"
    )
    words = [str(panel.path), *(str(bundle_of(family).path) for family in FITS)]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    found = dict(zip(FITS, json.loads(done.stdout.splitlines()[-1]), strict=True))
    assert [family for family in FITS if found[family] != [0, 0]] == []


@pytest.mark.parametrize("family", FITS)
def test_no_file_of_a_bundle_holds_a_pickle(bundle_of: BundleOf, family: str) -> None:
    """Neither as a file nor inside an archive."""
    files = bundle_of(family).files
    assert len(files) >= 5
    assert {name: found for name, content in files.items() if (found := pickle_in(content))} == {}


@pytest.mark.parametrize("family", [family for family in FITS if family not in WITHOUT])
def test_an_exported_model_says_what_the_bundle_says(
    bundle_of: BundleOf, panel: Panel, tmp_path: Path, family: str
) -> None:
    """Recorded rows agree within the tolerance, values missing or not, in batches of any size."""
    file = tmp_path / "model.onnx"
    found = export_onnx(bundle_of(family), panel, file)
    assert found.largest <= TOLERANCE
    assert found.rows > 100
    session = onnxruntime.InferenceSession(file.read_bytes())
    said = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    assert said == bundle_of(family).card["features"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("family", WITHOUT)
def test_a_family_that_no_graph_can_say_is_refused_in_a_sentence(
    bundle_of: BundleOf, panel: Panel, tmp_path: Path, family: str
) -> None:
    """Its state lives in all bars before a row; nothing is written."""
    with pytest.raises(BadInput, match=WITHOUT[family]):
        export_onnx(bundle_of(family), panel, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_is_predicted_with_the_exported_quantiles_is_what_the_bundle_predicts(
    bundle_of: BundleOf, panel: Panel, tmp_path: Path
) -> None:
    """The second output of a quantile model has a column a level, ascending."""
    bundle = bundle_of("QuantileLightGBM")
    export_onnx(bundle, panel, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    rows = np.arange(0, panel.rows, 7)
    given = panel.matrix(tuple(bundle.card["features"]), rows)
    middle, quantiles = session.run(["prediction", "quantiles"], {"features": given})
    expected = bundle.quantiles(panel, rows)
    assert expected is not None
    np.testing.assert_allclose(quantiles, expected.values, rtol=1e-5, atol=1e-8)
    assert middle.tolist() == quantiles[:, 2].tolist()
    assert (np.diff(quantiles, axis=1) >= 0).all()
