"""Blend: common models and a symbol's own models in one bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executors.bundle import load_bundle
from executors.contract import FitSpec, Part, Succeeded
from executors.cpu.blend_family import blend_weights, validation_rows_of_both
from executors.dataset import fit_data
from executors.errors import BadInput
from executors.session import Session
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
SMALL = {"rounds": 40, "chunk_rounds": 10, "patience": 10}


def part_of(make_spec: SpecMaker, directory: Path, **changes: Any) -> Part:
    """Train one side of a blend and return what the host would tell of it."""
    spec = make_spec(checkpoint_dir=directory / "checkpoints", bundle_path=directory / "bundle", **changes)
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return Part(
        name=f"{spec.job}/{spec.family}",
        family=spec.family,
        bundle_path=spec.bundle_path,
        bundle_sha256=outcome.bundle_sha256,
    )


@pytest.fixture
def blend_spec(make_spec: SpecMaker, tmp_path: Path) -> SpecMaker:
    """Return a maker of blends of a common LightGBM and an own XGBoost of AAA."""

    def make(target: str = "fwd_ret_1d", **changes: Any) -> FitSpec:
        own = {
            "job": f"sym_{target}_AAA",
            "training_type": "symbol_specific",
            "symbol": "AAA",
            "target": target,
        }
        common = part_of(make_spec, tmp_path / target / "cs", job=f"cs_{target}", target=target, params=SMALL)
        other = part_of(make_spec, tmp_path / target / "sym", family="XGBoost", params=SMALL, **own)
        return make_spec(**{**own, "family": "Blend", "parts": (common, other), **changes})

    return make


def fitted(spec: FitSpec) -> Succeeded:
    """Do the fit to its end."""
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return outcome


@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_up_1d", "y_class_1d"])
def test_a_blend_is_the_weighted_sum_of_its_sides(blend_spec: SpecMaker, panel: Panel, target: str) -> None:
    """Its bundle holds both models: moved parts change nothing, and its predictions are their mixture."""
    spec = blend_spec(target)
    assert fitted(spec).metrics["error_reduction"] > 0
    rows = fit_data(spec).test
    answers = [load_bundle(part.bundle_path).predict(panel, rows) for part in spec.parts]
    bundle = load_bundle(spec.bundle_path)
    weights = list(json.loads(bundle.files["preprocessing.json"])["weights"].values())
    assert sum(weights) == pytest.approx(1.0)
    for part in spec.parts:
        part.bundle_path.rename(part.bundle_path.with_name("moved"))
    own = bundle.predict(panel, rows)
    assert np.allclose(own, weights[0] * answers[0] + weights[1] * answers[1], atol=1e-6)
    recorded = bundle.predictions()
    assert np.array_equal(own, recorded.probabilities if own.ndim == 2 else recorded.prediction)


def test_weights_rest_on_rows_that_no_side_was_trained_on(blend_spec: SpecMaker, panel: Panel) -> None:
    """The rows lie behind the training labels of the common model and those of the symbol's own."""
    spec = blend_spec()
    own = fit_data(spec)
    common = fit_data(replace(spec, training_type="cross_sectional", symbol=None))
    session = Session(
        spec=spec,
        data=own,
        params={},
        versions={},
        tell=lambda report: None,
        should_stop=lambda: False,
    )
    rows = validation_rows_of_both(session)
    assert len(rows) >= 30
    ends = panel.label_end_codes(own.horizon_bars)
    assert panel.time_codes[rows].min() > ends[own.train].max()
    assert panel.time_codes[rows].min() > ends[common.train].max()
    assert not np.isin(rows, own.test).any()


def test_the_better_side_weighs_more_and_few_rows_weigh_alike() -> None:
    """Weights are the inverses of the losses; with too few rows, or as the plan says, they are equal."""
    weights, told = blend_weights([1.0, 3.0], 200, "inverse_validation_loss")
    assert weights == pytest.approx([0.75, 0.25])
    assert "200" in told
    assert blend_weights([1.0, 3.0], 29, "inverse_validation_loss")[0] == [0.5, 0.5]
    assert blend_weights([1.0, float("nan")], 200, "inverse_validation_loss")[0] == [0.5, 0.5]
    assert blend_weights([1.0, 3.0], 200, "equal") == ([0.5, 0.5], "equal, as the plan says")


def test_a_blend_of_one_side_and_of_another_symbol_is_refused(
    blend_spec: SpecMaker, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Both sides are needed, and the own models must be the symbol's."""
    spec = blend_spec()
    with pytest.raises(BadInput, match="it has 1 parts of 1 jobs, and joins models of two"):
        fitted(replace(spec, parts=spec.parts[:1]))
    foreign = part_of(
        make_spec,
        tmp_path / "foreign",
        job="sym_fwd_ret_1d_BBB",
        training_type="symbol_specific",
        symbol="BBB",
        params=SMALL,
    )
    with pytest.raises(BadInput, match="it is a model of BBB, not of AAA"):
        fitted(replace(spec, parts=(spec.parts[0], foreign)))
