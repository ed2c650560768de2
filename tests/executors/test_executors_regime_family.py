"""GMMRegime: regimes from the past alone, experts in them, and a fit like all others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_children import contents
from executor_fits import bundle_of, killed_after_every_checkpoint, predicted_elsewhere, stopped_at
from executor_panels import SYMBOLS, symbol_frame, write_panel
from generated.signals import CLASSES, TARGET, Signal, signal
from signal_fits import LAST_KEPT_BAR, asked_alone, with_other_future

from executors.bundle import PREPROCESSING, Bundle
from executors.contract import FitSpec
from executors.cpu import mixtures, regime_family
from executors.cpu.filters import Floats, smoothed
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "GMMRegime"
TARGETS = (TARGET, *CLASSES.values())


@pytest.fixture(scope="module")
def made() -> Signal:
    """Six symbols whose coefficients change sign with a lasting state of the market."""
    return signal("regimes", 0)


@pytest.fixture(scope="module")
def regimes(made: Signal, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The panel of it."""
    return made.panel(tmp_path_factory.mktemp("regimes"))


def spec_on(panel: Panel, make_spec: SpecMaker, **changes: Any) -> FitSpec:
    """Return a spec of the family on the panel."""
    wanted: dict[str, Any] = {"family": FAMILY, "panel_path": panel.path, "panel_key": panel.key}
    return make_spec(**{**wanted, **changes})


def regimes_in(bundle: Bundle, panel: Panel, rows: Any) -> Floats:
    """Return the probabilities of the bundle's regimes at `rows`."""
    return regime_family.regimes_at(bundle.files, json.loads(bundle.files[PREPROCESSING]), panel, rows)


@pytest.mark.parametrize("target", TARGETS)
def test_coefficients_that_change_sign_with_the_regime_are_learnt(
    regimes: Panel, make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Of every kind of target, far above no skill, where one model for all times sees nothing."""
    bundle = bundle_of(spec_on(regimes, make_spec, target=target), tmp_path / "two")
    assert bundle.card["metrics"]["beats_no_skill"]
    assert bundle.card["metrics"]["error_reduction"] > 0.03
    one = bundle_of(spec_on(regimes, make_spec, target=target, params={"regimes_max": 1}), tmp_path / "one")
    assert bundle.card["metrics"]["skill"] > 2 * one.card["metrics"]["skill"]
    assert bundle.card["metrics"]["error_reduction"] > 3 * one.card["metrics"]["error_reduction"]


def test_the_planted_regimes_are_told_bar_by_bar(
    made: Signal, regimes: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Two of them, and on the judged bars the right one nine times of ten."""
    bundle = bundle_of(spec_on(regimes, make_spec), tmp_path)
    own = np.arange(*regimes.rows_of("S00").indices(regimes.rows))
    found = regimes_in(bundle, regimes, own)
    assert found.shape == (700, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    told = found[560:].argmax(axis=1) == (made.truth["state"][560:] > 0)
    assert max(told.mean(), 1 - told.mean()) > 0.9


def self_evident(array: Floats, name: str) -> Floats:
    """Return moves that are all alike in place of those learnt, and everything else as it is."""
    return np.full_like(array, 1.0 / len(array)) if name.endswith(".transition") else array


@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_killed_after_every_state_ends_with_the_same_bundle(
    regimes: Panel, make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Killed in the mixtures' iterations as in the experts' penalties, and stopped by request."""
    spec = spec_on(regimes, make_spec, target=target, params={"iterations": 30}, checkpoint_rounds=3)
    expected = contents(bundle_of(spec, tmp_path / "whole").path)
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 6
    assert got == expected
    got, stops = stopped_at(spec, tmp_path / "stopped", (5, 12))
    assert stops[0] < stops[1]
    assert got == expected


def test_a_fit_that_forgets_its_mixtures_is_found_out(
    regimes: Panel, make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison has teeth: without the moves learnt before, another model comes out."""
    spec = spec_on(regimes, make_spec, params={"iterations": 30}, checkpoint_rounds=3)
    expected = contents(bundle_of(spec, tmp_path / "whole").path)
    restore = regime_family._Regimes.restore

    def forgetful(self: Any, state: Any) -> None:
        restore(self, {name: self_evident(array, name) for name, array in state.items()})

    monkeypatch.setattr(regime_family._Regimes, "restore", forgetful)
    got, _ = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert got != expected


def test_another_future_leaves_every_earlier_prediction_its_bits(
    made: Signal, regimes: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Features and labels after a bar change; regimes and predictions up to it do not."""
    bundle = bundle_of(spec_on(regimes, make_spec), tmp_path / "fit")
    other, rows = with_other_future(made, tmp_path / "other")
    before, after = bundle.predict(regimes, rows), bundle.predict(other, rows)
    np.testing.assert_array_equal(after, before)
    later = np.flatnonzero(regimes.time_codes == LAST_KEPT_BAR + 1)
    assert (bundle.predict(regimes, later) != bundle.predict(other, later)).all()


def test_a_smoother_in_the_filter_s_place_is_found_out(
    made: Signal, regimes: Panel, make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probabilities that know the bars to come fail the comparison above."""
    bundle = bundle_of(spec_on(regimes, make_spec), tmp_path / "fit")
    other, rows = with_other_future(made, tmp_path / "other")
    monkeypatch.setattr(mixtures, "filtered", lambda *model: smoothed(*model)[0])
    assert (bundle.predict(regimes, rows) != bundle.predict(other, rows)).any()


def test_a_row_is_predicted_the_same_alone_in_company_and_elsewhere(
    regimes: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Whatever rows are asked for, in whatever process, the bits are those on record."""
    bundle = bundle_of(spec_on(regimes, make_spec, target=CLASSES["multiclass"]), tmp_path)
    rows = np.flatnonzero(regimes.time_codes >= 560)[::97]
    together = bundle.predict(regimes, rows).tobytes()
    assert asked_alone(bundle, regimes, rows) == together
    assert bundle.predict(regimes, np.arange(regimes.rows))[rows].tobytes() == together
    elsewhere, libraries = predicted_elsewhere(bundle.path, regimes, rows)
    assert elsewhere == together
    assert libraries == "[]"


def test_in_noise_nothing_is_found(panel: Panel, make_spec: SpecMaker, tmp_path: Path) -> None:
    """A target of pure noise leaves a model that says about the mean."""
    metrics = bundle_of(make_spec(family=FAMILY, target="y_noise_1d"), tmp_path).card["metrics"]
    assert not metrics["beats_no_skill"]
    assert abs(metrics["error_reduction"]) < 0.02


def test_one_symbol_has_a_market_of_its_own(regimes: Panel, make_spec: SpecMaker, tmp_path: Path) -> None:
    """A fit of one symbol reads its regimes from that symbol, and no other's bars touch it."""
    spec = spec_on(regimes, make_spec, training_type="symbol_specific", symbol="S02")
    bundle = bundle_of(spec, tmp_path)
    own = np.arange(*regimes.rows_of("S02").indices(regimes.rows))
    assert regimes_in(bundle, regimes, own).shape[1] >= 1
    assert np.isfinite(bundle.predict(regimes, own)).all()
    assert bundle.card["metrics"]["score"] > 0.1


def test_features_without_a_value_or_without_a_change_do_no_harm(
    make_spec: SpecMaker, tmp_path: Path
) -> None:
    """A constant and an empty feature get no weight; with nothing but constants one regime is left."""
    frames = {symbol: symbol_frame(symbol, place, days=300) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame.loc[:240, "f6"] = np.float32(3.0)  # as far as training sees
        frame.loc[:240, "f7"] = np.float32(np.nan)
    panel = write_panel(tmp_path / "panel", frames)
    bundle = bundle_of(spec_on(panel, make_spec), tmp_path / "all")
    assert bundle.card["metrics"]["beats_no_skill"]
    assert abs(bundle.card["importances"]["f6"]) < 1e-9
    constant = bundle_of(spec_on(panel, make_spec, features=("f6",)), tmp_path / "constant")
    assert constant.card["metrics"]["error_reduction"] < 0.02
