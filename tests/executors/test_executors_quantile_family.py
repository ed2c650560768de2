"""QuantileLightGBM: quantiles that never cross and come true as often as they say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from executor_children import contents
from executor_fits import (
    Killed,
    bundle_of,
    killed_after_every_checkpoint,
    outcome_of,
    predicted_elsewhere,
    stopped_at,
    with_another_future,
)
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.bundle import PREPROCESSING, Bundle, load_bundle
from executors.contract import Checkpointed, FitSpec, Report, Succeeded
from executors.cpu import quantile_family
from executors.cpu.quantile_family import QUANTILES, shifts
from executors.dataset import fit_data
from executors.errors import BadInput
from executors.session import Session
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "QuantileLightGBM"
LEVELS = np.array(QUANTILES)
SMALL: dict[str, Any] = {
    "rounds": 24, "chunk_rounds": 6, "patience": 24, "learning_rate": 0.1, "row_share": 0.6
}  # fmt: skip
TREES = tuple(f"quantile_{level}.txt" for level in QUANTILES)


def quantiles_of(bundle: Bundle, panel: Panel, rows: np.ndarray) -> np.ndarray:
    """Return what the family says of the label's quantiles."""
    outline = json.loads(bundle.files[PREPROCESSING])
    return quantile_family.quantiles(bundle.files, outline, panel, rows)


def lopsided_frame(place: int, days: int) -> pd.DataFrame:
    """Return bars whose label has a mean, a spread and a skewed noise that depend on features."""
    random = np.random.default_rng([place, 77])
    frame = pd.DataFrame(
        random.standard_normal((days, 4)).astype(np.float32), columns=[f"f{number}" for number in range(4)]
    )
    frame.insert(0, "date", pd.date_range("2010-01-01", periods=days, freq="B", tz="UTC"))
    noise = random.exponential(1.0, days) - 1.0
    spread = np.exp(0.6 * frame["f1"].clip(-2, 2))
    frame["fwd_ret_1d"] = (0.01 * (0.5 * frame["f0"] + spread * noise)).astype(np.float32)
    return frame


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Ten symbols of 3,000 days with a label that is neither normal nor equally spread."""
    frames = {f"S{place}": lopsided_frame(place, 3000) for place in range(10)}
    return write_panel(tmp_path_factory.mktemp("lopsided"), frames)


def test_each_level_comes_true_within_two_per_cent(
    make_spec: SpecMaker, lopsided: Panel, tmp_path: Path
) -> None:
    """On skewed, unequally spread labels, on all test rows and where the spread is small or large."""
    params = {"rounds": 40, "learning_rate": 0.2, "min_leaf_rows": 100}
    spec = make_spec(family=FAMILY, panel_path=lopsided.path, panel_key=lopsided.key, params=params)
    bundle, data = bundle_of(spec, tmp_path), fit_data(spec)
    found, labels = quantiles_of(bundle, lopsided, data.test), data.labels_at(data.test)
    is_below = labels[:, None] <= found
    np.testing.assert_allclose(is_below.mean(axis=0), LEVELS, atol=0.02)
    is_wild = lopsided.values("f1")[data.test] > 0
    for some in (is_wild, ~is_wild):
        np.testing.assert_allclose(is_below[some].mean(axis=0), LEVELS, atol=0.04)


def test_without_the_shift_the_levels_would_be_off(
    make_spec: SpecMaker, lopsided: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trees that have learnt their training rows by heart: the calibration is what makes them honest."""
    params = {"rounds": 2, "learning_rate": 1.0, "leaves": 2000, "min_leaf_rows": 5}
    spec = make_spec(family=FAMILY, panel_path=lopsided.path, panel_key=lopsided.key, params=params)
    data, gaps = fit_data(spec), []
    for name in ("calibrated", "raw"):
        if name == "raw":
            monkeypatch.setattr(quantile_family, "shifts", lambda said, labels: [0.0] * len(QUANTILES))
        found = quantiles_of(bundle_of(spec, tmp_path / name), lopsided, data.test)
        gaps.append(np.abs((data.labels_at(data.test)[:, None] <= found).mean(axis=0) - LEVELS).max())
    assert gaps[0] < 0.02
    assert gaps[1] > 0.04


def test_quantiles_never_fall_and_the_prediction_is_their_median(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """Also of rows far from all training rows, where the trees by themselves do cross."""
    bundle = bundle_of(make_spec(family=FAMILY, params={"rounds": 40, "learning_rate": 0.3}), tmp_path)
    rows = np.arange(panel.rows)
    found = quantiles_of(bundle, panel, rows)
    assert found.dtype == np.float32
    assert np.all(np.diff(found, axis=1) >= 0)
    np.testing.assert_array_equal(bundle.predict(panel, rows), found[:, 2])
    features = panel.matrix(panel.feature_names)
    outline = json.loads(bundle.files[PREPROCESSING])
    models = [lightgbm.Booster(model_str=bundle.files[name].decode()) for name in TREES]
    said = np.column_stack([model.predict(features) for model in models])
    assert np.any(np.diff(said, axis=1) < 0)
    ordered = np.sort(np.sort(said, axis=1) + np.array(outline["shifts"]), axis=1)
    scale = outline["labels"]["scale"]
    np.testing.assert_allclose(found, ordered * scale + outline["labels"]["mean"], atol=1e-6 * scale)


def test_a_shift_puts_the_right_share_of_labels_at_or_below() -> None:
    """Of rows not seen, at least the level lies at or below it on average, and hardly more."""
    random = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        labels = random.standard_normal(60).astype(np.float32)
        moved = shifts(np.full((59, len(LEVELS)), 3.0), labels[:59])
        covered.append(labels[59] <= 3.0 + np.array(moved))
    np.testing.assert_allclose(np.mean(covered, axis=0), LEVELS, atol=0.05)
    assert shifts(np.zeros((1, len(LEVELS))), np.array([2.0], dtype=np.float32)) == [2.0] * len(LEVELS)


def test_it_finds_what_is_planted_and_nothing_in_noise(make_spec: SpecMaker, tmp_path: Path) -> None:
    """The median beats the constant on a planted target and stays at it on noise."""
    params = {"rounds": 80, "learning_rate": 0.1}
    planted = bundle_of(make_spec(family=FAMILY, params=params), tmp_path / "planted").card["metrics"]
    assert planted["error_reduction"] > 0.1
    assert planted["score"] > 0.25
    noise = bundle_of(make_spec(family=FAMILY, target="y_noise_1d", params=params), tmp_path / "noise").card[
        "metrics"
    ]
    assert noise["error_reduction"] < 0.02
    assert abs(noise["score"]) < 0.1


def test_classes_are_refused_with_the_reason(make_spec: SpecMaker) -> None:
    """A class has no quantile."""
    with pytest.raises(BadInput, match="quantiles are of numbers, and a class is none"):
        outcome_of(make_spec(family=FAMILY, target="y_up_1d"))


def test_a_killed_fit_ends_in_the_bytes_of_an_untouched_one(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Killed after every state, and stopped inside chunks: all levels go on to the same bits."""
    spec = make_spec(family=FAMILY, params=SMALL, checkpoint_rounds=6)
    bundle_of(spec, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "bundle")
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert (got, deaths) == (expected, 3)
    got, stops = stopped_at(spec, tmp_path / "stopped", [4, 10, 12])
    assert got == expected
    assert stops == sorted(stops)


def test_a_fit_whose_seed_counts_calls_is_found_out(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth."""
    spec = make_spec(family=FAMILY, params=SMALL, checkpoint_rounds=6)

    def of_a_new_process() -> None:
        calls = itertools.count(1)
        monkeypatch.setattr(Session, "seed", lambda self, *parts: next(calls))

    def dying(report: Report) -> None:
        if isinstance(report, Checkpointed):
            raise Killed

    of_a_new_process()
    expected = bundle_of(spec, tmp_path / "whole").files
    of_a_new_process()
    with pytest.raises(Killed):
        outcome_of(spec, dying)
    of_a_new_process()
    assert isinstance(outcome_of(replace(spec, fence=2)), Succeeded)
    assert any(load_bundle(spec.bundle_path).files[name] != expected[name] for name in TREES)


def test_a_fresh_process_predicts_the_recorded_bits(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """Asked for all rows together, for some, elsewhere: the same bits."""
    spec = make_spec(family=FAMILY, params=SMALL)
    bundle = bundle_of(spec, tmp_path)
    rows = fit_data(spec).test
    together = bundle.predict(panel, rows)
    assert together.tobytes() == bundle.predictions().prediction.tobytes()
    apart = np.concatenate([bundle.predict(panel, rows[start : start + 7]) for start in range(0, 70, 7)])
    assert apart.tobytes() == together[:70].tobytes()
    assert predicted_elsewhere(tmp_path / "bundle", panel, rows)[0] == together.tobytes()


def test_another_future_changes_no_earlier_quantile(
    make_spec: SpecMaker, panel: Panel, tmp_path: Path
) -> None:
    """Features and labels after the day of a row may be anything; test labels reach no shift."""
    other = with_another_future(tmp_path / "other", days=420, columns=[*panel.feature_names, "fwd_ret_1d"])
    spec = make_spec(family=FAMILY, params=SMALL)
    assert int(panel.time_codes[fit_data(spec).test].min()) < 420
    bundle = bundle_of(spec, tmp_path / "here")
    rows = np.flatnonzero(panel.time_codes < 420)
    assert quantiles_of(bundle, other, rows).tobytes() == quantiles_of(bundle, panel, rows).tobytes()
    there = bundle_of(replace(spec, panel_path=other.path, panel_key=other.key), tmp_path / "there")
    assert all(there.files[name] == bundle.files[name] for name in (*TREES, PREPROCESSING))


def test_rows_that_weigh_more_move_the_quantiles(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Labels of five days overlap unevenly where bars are missing; their weights reach the library."""
    frames = {s: symbol_frame(s, place) for place, s in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame["fwd_ret_5d"] = frame["fwd_ret_1d"].rolling(5).sum().shift(-4).astype(np.float32)
    holes = {s: frame.drop(index=[*range(50, 90, 3), *range(200, 260, 2)]) for s, frame in frames.items()}
    panel = write_panel(tmp_path, holes)
    base = {"family": FAMILY, "target": "fwd_ret_5d", "panel_path": panel.path, "panel_key": panel.key}
    models = [
        bundle_of(make_spec(**base, params={**SMALL, "overlap_weights": weigh}), tmp_path / str(weigh)).files
        for weigh in (0, 1)
    ]
    assert models[0]["quantile_0.5.txt"] != models[1]["quantile_0.5.txt"]
