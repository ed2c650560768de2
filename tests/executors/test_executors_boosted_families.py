"""LightGBM and XGBoost: what their settings do, and what must not make a difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_panels import symbol_frame, write_panel

from executors.bundle import Bundle, load_bundle
from executors.contract import FitSpec, Succeeded
from executors.dataset import fit_data
from executors.session import Session
from executors.trainers import library_versions, trainer_of
from executors.training import fit_once

SpecMaker = Callable[..., FitSpec]

FAMILIES = ("LightGBM", "XGBoost")


def bundle_of(spec: FitSpec, where: Path) -> Bundle:
    """Do the fit under `where` and load what came out."""
    spec = replace(spec, checkpoint_dir=where / "checkpoints", bundle_path=where / "bundle")
    assert isinstance(fit_once(spec, tell=lambda report: None, should_stop=lambda: False), Succeeded)
    return load_bundle(where / "bundle")


def recorded(spec: FitSpec, where: Path) -> bytes:
    """Return the test predictions of the fit, as bytes."""
    return bundle_of(spec, where).predictions().prediction.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_or_job_draws_other_samples(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """The seed of the plan and the job's name decide what is sampled; the attempt does not."""
    spec = make_spec(family=family, params={"rounds": 10})
    first = recorded(spec, tmp_path / "first")
    assert recorded(replace(spec, attempt=5, fence=9), tmp_path / "again") == first
    assert recorded(replace(spec, seed=8), tmp_path / "seed") != first
    assert recorded(replace(spec, job="another"), tmp_path / "job") != first


@pytest.mark.parametrize("family", FAMILIES)
def test_the_number_of_threads_does_not_change_a_prediction(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """A fit resumed on a machine with other threads stays the same fit."""
    spec = make_spec(family=family, params={"rounds": 15})
    one = recorded(replace(spec, threads=1), tmp_path / "one")
    assert recorded(replace(spec, threads=2), tmp_path / "two") == one


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_rounds_up_to_the_best_are_kept(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """Rounds that did not help on the validation rows are not in the saved model."""
    params = {"rounds": 300, "patience": 10, "chunk_rounds": 25, "learning_rate": 0.3}
    card = bundle_of(make_spec(family=family, params=params), tmp_path).card
    valid = card["curve"]["valid_loss"]
    assert card["best_step"] == int(np.argmin(valid)) + 1
    assert card["steps"] == card["best_step"] + 10 == len(valid)
    assert rounds_in(tmp_path / "bundle") == card["best_step"]


def rounds_in(bundle: Path) -> int:
    """Return how many rounds a saved model has, asked of its library."""
    if (bundle / "model.txt").exists():
        import lightgbm

        return int(lightgbm.Booster(model_file=bundle / "model.txt").current_iteration())
    import xgboost

    return int(xgboost.Booster(model_file=bundle / "model.ubj").num_boosted_rounds())


@pytest.mark.parametrize("family", FAMILIES)
def test_tiny_returns_are_learnt_like_large_ones(make_spec: SpecMaker, tmp_path: Path, family: str) -> None:
    """A target in basis points of a per cent gives the same trees as one in per cent."""
    scores = []
    for name, size in (("large", 1.0), ("tiny", 2.0**-20)):
        frames = {s: symbol_frame(s, place) for place, s in enumerate(("A", "B", "C", "D"))}
        for frame in frames.values():
            frame["fwd_ret_1d"] *= np.float32(size)
        panel = write_panel(tmp_path / name, frames)
        spec = make_spec(family=family, panel_path=panel.path, panel_key=panel.key, params={"rounds": 40})
        scores.append(bundle_of(spec, tmp_path / name).card["metrics"]["score"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[0] > 0.2


@pytest.mark.parametrize(
    ("family", "key"), [("LightGBM", "min_data_in_leaf"), ("XGBoost", "min_child_weight")]
)
def test_the_smallest_leaf_grows_with_the_training_rows(make_spec: SpecMaker, family: str, key: str) -> None:
    """Left at zero it is a hundredth of the rows, at least 20; what is given is taken."""

    def leaf(**params: Any) -> float:
        spec = make_spec(family=family)
        trainer = trainer_of(family)
        defaults = {name: parameter.default for name, parameter in trainer.PARAMETERS.items()}
        session = Session(
            spec=spec,
            data=fit_data(spec),
            params={**defaults, **params},
            versions={},
            tell=lambda report: None,
            should_stop=lambda: False,
        )
        import importlib

        module = importlib.import_module(f"executors.cpu.{family.lower()}_family")
        return float(module._library_settings(session)[key])

    assert leaf() == 20  # of about 1,900 rows
    assert leaf(min_leaf_rows=77) == 77


@pytest.mark.parametrize("family", FAMILIES)
def test_versions_of_what_made_the_model_are_on_its_card(
    make_spec: SpecMaker, tmp_path: Path, family: str
) -> None:
    """The library and numpy, by their distributions' names."""
    card = bundle_of(make_spec(family=family, params={"rounds": 3}), tmp_path).card
    assert set(card["versions"]) == {family.lower(), "numpy"}
    assert card["versions"] == library_versions((family.lower(),))
    assert (
        json.loads((tmp_path / "bundle" / "preprocessing.json").read_text())["features"] == card["features"]
    )
