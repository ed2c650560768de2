"""Predicting again what is on record: the same bits pass, anything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors import replaying
from executors.bundle import Bundle, load_bundle
from executors.contract import FitSpec
from executors.errors import ReplayFailed
from executors.replaying import Replay, recorded_rows, replay
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]


@pytest.fixture
def bundle(make_spec: SpecMaker) -> Bundle:
    """A small model."""
    spec = make_spec(params={"rounds": 5})
    fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    return load_bundle(spec.bundle_path)


def test_the_same_data_give_the_same_bits(bundle: Bundle, panel: Panel) -> None:
    """All recorded rows, none missing, none different."""
    found = replay(bundle, panel)
    assert found == Replay(rows=600, missing=0, different=0, largest=0.0)
    found.check(bundle)


def test_rows_are_found_by_symbol_and_time_in_data_of_another_order(bundle: Bundle, tmp_path: Path) -> None:
    """A panel with one symbol more and others' first bars gone holds the recorded rows at other places."""
    frames = {name: symbol_frame(name, place).iloc[50:] for place, name in enumerate(SYMBOLS)}
    other = write_panel(tmp_path / "other", {"AAAA": symbol_frame("AAAA", 90), **frames})
    recorded = bundle.predictions()
    rows = recorded_rows(other, recorded)
    assert [other.symbols[code] for code in other.symbol_codes[rows]] == list(recorded.symbol)
    assert np.array_equal(other.times[rows], recorded.time)
    replay(bundle, other).check(bundle)


def test_data_that_lack_recorded_rows_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    """A symbol that is gone and bars that are gone are counted."""
    frames = {name: symbol_frame(name, place) for place, name in enumerate(SYMBOLS[1:], start=1)}
    frames["BBB"] = frames["BBB"].iloc[:-7]
    found = replay(bundle, write_panel(tmp_path / "other", frames))
    assert (found.rows, found.missing) == (493, 107)
    with pytest.raises(ReplayFailed, match="107 of 600 recorded rows are not in this data"):
        found.check(bundle)


def test_data_that_were_changed_since_are_refused_unless_the_tolerance_allows_it(
    bundle: Bundle, tmp_path: Path
) -> None:
    """One feature of one bar: one prediction is another."""
    frames = {name: symbol_frame(name, place) for place, name in enumerate(SYMBOLS)}
    frames["CCC"].loc[490, "f0"] = -frames["CCC"].loc[490, "f0"]
    found = replay(bundle, write_panel(tmp_path / "other", frames))
    assert (found.missing, found.different) == (0, 1)
    with pytest.raises(ReplayFailed, match="1 of 600 recorded predictions are now others"):
        found.check(bundle)
    found.check(bundle, tolerance=found.largest)


def test_a_number_where_there_was_none_is_an_infinite_difference(
    bundle: Bundle, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tolerance lets it pass."""

    def unknown(of: Bundle, on: Panel, rows: np.ndarray) -> np.ndarray:
        del of, on
        return np.full((len(rows), 1), np.nan, dtype=np.float32)

    monkeypatch.setattr(replaying, "answers_of", unknown)
    with pytest.raises(ReplayFailed, match="by up to inf"):
        replay(bundle, panel).check(bundle, tolerance=1e9)
