"""ChangePoint: breaks found in training, the right model by complete labels on-line, a fit like others."""

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
from executors.cpu import change_point_family
from executors.cpu.change_point_family import SEGMENTS, Complete
from executors.cpu.filters import Floats, smoothed
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]
FAMILY = "ChangePoint"
TARGETS = (TARGET, *CLASSES.values())


@pytest.fixture(scope="module")
def made() -> Signal:
    """Six symbols whose coefficients break at known bars, once among the judged ones."""
    return signal("breaks", 0)


@pytest.fixture(scope="module")
def breaks(made: Signal, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The panel of it."""
    return made.panel(tmp_path_factory.mktemp("breaks"))


def spec_on(panel: Panel, make_spec: SpecMaker, **changes: Any) -> FitSpec:
    """Return a spec of the family on the panel."""
    wanted: dict[str, Any] = {"family": FAMILY, "panel_path": panel.path, "panel_key": panel.key}
    return make_spec(**{**wanted, **changes})


def breaks_in(bundle: Bundle, panel: Panel) -> list[int]:
    """Return the bars at which the bundle's segments begin, but the first."""
    times = json.loads(bundle.files[SEGMENTS])["breaks_ns"]
    return [int(np.searchsorted(panel.timestamps, time)) for time in times]


def shares_in(bundle: Bundle, panel: Panel, rows: Any) -> Floats:
    """Return the shares of the bundle's models at `rows`."""
    return change_point_family.shares_at(bundle.files, json.loads(bundle.files[PREPROCESSING]), panel, rows)


@pytest.mark.parametrize("target", TARGETS)
def test_coefficients_that_break_are_learnt_and_followed(
    made: Signal, breaks: Panel, make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Of every kind of target: breaks within a few bars, and more skill than one model of all times has."""
    bundle = bundle_of(spec_on(breaks, make_spec, target=target), tmp_path / "segments")
    planted = np.array([at for at in made.truth["breaks"] if at < 455])
    assert np.abs(np.array(breaks_in(bundle, breaks)) - planted).max() <= 8
    assert bundle.card["metrics"]["beats_no_skill"]
    one = bundle_of(spec_on(breaks, make_spec, target=target, params={"price": 1000.0}), tmp_path / "one")
    assert breaks_in(one, breaks) == []
    assert bundle.card["metrics"]["skill"] > 1.3 * one.card["metrics"]["skill"]
    assert bundle.card["metrics"]["error_reduction"] > 1.5 * one.card["metrics"]["error_reduction"]


def test_the_model_that_speaks_changes_soon_after_a_break_nobody_trained_on(
    made: Signal, breaks: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Before the break models of one set of coefficients have the say, ten bars later those of the other."""
    bundle = bundle_of(spec_on(breaks, make_spec), tmp_path)
    own = np.arange(*breaks.rows_of("S00").indices(breaks.rows))
    shares = shares_in(bundle, breaks, own)  # (bars, five segments and the model of all)
    assert shares.shape == (700, 6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    of_second = shares[:, [1, 3]].sum(axis=1)  # made in the second and the fourth segment
    assert made.truth["which"][619] == 1 - made.truth["which"][620]
    speaking = of_second if made.truth["which"][619] else shares[:, [0, 2, 4]].sum(axis=1)
    assert speaking[560:620].mean() > 0.8
    assert speaking[630:].mean() < 0.2


@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_killed_after_every_state_ends_with_the_same_bundle(
    breaks: Panel, make_spec: SpecMaker, tmp_path: Path, target: str
) -> None:
    """Killed in the search as in the experts' penalties, and stopped by request."""
    spec = spec_on(breaks, make_spec, target=target, checkpoint_rounds=3)
    expected = contents(bundle_of(spec, tmp_path / "whole").path)
    got, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 5
    assert got == expected
    got, stops = stopped_at(spec, tmp_path / "stopped", (4, 9))
    assert stops[0] < stops[1]
    assert got == expected


def test_a_fit_that_forgets_its_search_is_found_out(
    breaks: Panel, make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison has teeth: without where segments began, another model comes out."""
    spec = spec_on(breaks, make_spec, checkpoint_rounds=3)
    expected = contents(bundle_of(spec, tmp_path / "whole").path)
    restore = change_point_family._Segments.restore

    def forgetful(self: Any, state: Any) -> None:
        restore(self, {**state, "last": np.zeros_like(state["last"])})

    monkeypatch.setattr(change_point_family._Segments, "restore", forgetful)
    got, _ = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert got != expected


def test_another_future_leaves_every_earlier_prediction_its_bits(
    made: Signal, breaks: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Features after a bar and labels not complete at it change; shares and predictions up to it do not."""
    bundle = bundle_of(spec_on(breaks, make_spec), tmp_path / "fit")
    other, rows = with_other_future(made, tmp_path / "other")
    np.testing.assert_array_equal(bundle.predict(other, rows), bundle.predict(breaks, rows))
    np.testing.assert_array_equal(shares_in(bundle, other, rows), shares_in(bundle, breaks, rows))
    after = np.flatnonzero(breaks.time_codes == LAST_KEPT_BAR + 2)
    assert (shares_in(bundle, breaks, after) != shares_in(bundle, other, after)).any()


@pytest.mark.parametrize("mutant", ["a label counts at its own bar", "shares are smoothed"])
def test_looking_ahead_is_found_out(
    made: Signal,
    breaks: Panel,
    make_spec: SpecMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutant: str,
) -> None:
    """Labels that are not complete yet, or shares that know later labels, fail the comparison above."""
    bundle = bundle_of(spec_on(breaks, make_spec), tmp_path / "fit")
    other, rows = with_other_future(made, tmp_path / "other")
    if mutant == "shares are smoothed":
        monkeypatch.setattr(change_point_family, "filtered", lambda *model: smoothed(*model)[0])
    else:
        of = Complete.of

        def too_soon(panel: Panel, *about: Any) -> Complete:
            known = of(panel, *about)
            return Complete(known.rows, known.ends - 1, known.labels, known.bars)

        monkeypatch.setattr(Complete, "of", too_soon)
    assert (bundle.predict(other, rows) != bundle.predict(breaks, rows)).any()


def test_a_label_is_known_once_the_symbol_s_own_bars_have_come(tmp_path: Path) -> None:
    """Five bars ahead is five bars of the symbol, gaps or not; where they are missing it never counts."""
    frames = {symbol: symbol_frame(symbol, place, days=60) for place, symbol in enumerate(SYMBOLS[:2])}
    for frame in frames.values():
        frame["fwd_ret_5d"] = frame["fwd_ret_1d"]
    frames["BBB"] = frames["BBB"].drop(index=range(20, 30)).reset_index(drop=True)
    panel = write_panel(tmp_path, frames)
    known = Complete.of(panel, slice(0, panel.rows), "fwd_ret_5d", 5)
    of_b = panel.rows_of("BBB")
    ends = dict(zip(known.rows.tolist(), known.ends.tolist(), strict=True))
    assert ends[3] == 8
    assert ends[of_b.start + 14] == 19
    assert ends[of_b.start + 15] == 30  # after the gap
    assert max(ends) == of_b.stop - 6
    assert 55 not in ends  # of the first symbol, whose fifth bar ahead would be the second's
    assert known.until(8).ends.max() == 8
    assert len(Complete.of(panel, slice(0, panel.rows), "no_such", 5).rows) == 0


def test_without_labels_the_models_share_alike(
    made: Signal, breaks: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """A panel whose labels are not there yet is predicted all the same."""
    bundle = bundle_of(spec_on(breaks, make_spec), tmp_path / "fit")
    frames = made.frames()
    bare = write_panel(
        tmp_path / "bare", {name: frame.drop(columns=[TARGET]) for name, frame in frames.items()}
    )
    rows = np.arange(690, 700)
    np.testing.assert_allclose(shares_in(bundle, bare, rows), 1 / 6)
    assert np.isfinite(bundle.predict(bare, rows)).all()


def test_a_row_is_predicted_the_same_alone_in_company_and_elsewhere(
    breaks: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Whatever rows are asked for, in whatever process, the bits are those on record."""
    bundle = bundle_of(spec_on(breaks, make_spec, target=CLASSES["multiclass"]), tmp_path)
    rows = np.flatnonzero(breaks.time_codes >= 560)[::97]
    together = bundle.predict(breaks, rows).tobytes()
    assert asked_alone(bundle, breaks, rows) == together
    assert bundle.predict(breaks, np.arange(breaks.rows))[rows].tobytes() == together
    elsewhere, libraries = predicted_elsewhere(bundle.path, breaks, rows)
    assert elsewhere == together
    assert libraries == "[]"


def test_in_noise_nothing_is_found(panel: Panel, make_spec: SpecMaker, tmp_path: Path) -> None:
    """A target of pure noise has no breaks and leaves a model that says about the mean."""
    bundle = bundle_of(make_spec(family=FAMILY, target="y_noise_1d"), tmp_path)
    assert breaks_in(bundle, panel) == []
    assert not bundle.card["metrics"]["beats_no_skill"]
    assert abs(bundle.card["metrics"]["error_reduction"]) < 0.02


def test_one_symbol_and_features_without_a_change_are_learnt_from(
    breaks: Panel, make_spec: SpecMaker, tmp_path: Path
) -> None:
    """A fit of one symbol has that symbol's segments; a constant among the features does no harm."""
    spec = spec_on(breaks, make_spec, training_type="symbol_specific", symbol="S02")
    assert bundle_of(spec, tmp_path / "symbol").card["metrics"]["score"] > 0.1
    frames = {symbol: symbol_frame(symbol, place, days=300) for place, symbol in enumerate(SYMBOLS)}
    for frame in frames.values():
        frame.loc[:240, "f6"] = np.float32(3.0)  # as far as training sees
        frame.loc[:240, "f7"] = np.float32(np.nan)
    panel = write_panel(tmp_path / "panel", frames)
    assert bundle_of(spec_on(panel, make_spec), tmp_path / "all").card["metrics"]["beats_no_skill"]
    bundle_of(spec_on(panel, make_spec, features=("f6",)), tmp_path / "constant")
