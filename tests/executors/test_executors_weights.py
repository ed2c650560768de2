"""How much a training row counts, and that probabilities forget the weights of classes again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from executor_fits import bundle_of
from executor_panels import symbol_frame, write_panel

from executors.dataset import FitData, fit_data
from executors.preprocessing import LabelCode
from executors.weights import class_weights, row_weights, uniqueness
from panel.aligned import Panel

HORIZON = 5
PLAIN = {"overlap_weights": 1, "class_balance": 0.0}


@pytest.fixture(scope="module")
def irregular(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Three symbols of different length, with days missing here and there and labels missing too."""
    random = np.random.default_rng(3)
    frames = {}
    for place, (symbol, days) in enumerate((("AAA", 90), ("BBB", 70), ("CCC", 60))):
        frame = symbol_frame(symbol, place, days=120)[["date", "f0", "fwd_ret_1d"]]
        frame = frame.rename(columns={"fwd_ret_1d": "fwd_ret_5d"}).iloc[120 - days :]
        frame = frame[random.random(len(frame)) > 0.2].reset_index(drop=True)
        frame.loc[random.random(len(frame)) < 0.1, "fwd_ret_5d"] = np.nan
        frames[symbol] = frame
    return write_panel(tmp_path_factory.mktemp("irregular"), frames)


def labelled(panel: Panel) -> np.ndarray[Any, Any]:
    """Return the rows whose label is known and ends within the panel."""
    known = np.isfinite(panel.values("fwd_ret_5d"))
    for symbol in panel.symbols:
        known[panel.rows_of(symbol).stop - HORIZON : panel.rows_of(symbol).stop] = False
    return np.flatnonzero(known)


def by_hand(panel: Panel, rows: np.ndarray[Any, Any]) -> list[float]:
    """Return the mean uniqueness of each label, bar by bar and label by label as the book has it."""
    bars = {}
    for row in rows.tolist():
        own = panel.rows_of(panel.symbols[panel.symbol_codes[row]])
        assert row + HORIZON < own.stop
        bars[row] = range(panel.time_codes[row] + 1, panel.time_codes[row + HORIZON] + 1)
    found = []
    for row in rows.tolist():
        shares = []
        for bar in bars[row]:
            others = [o for o in bars if panel.symbol_codes[o] == panel.symbol_codes[row] and bar in bars[o]]
            shares.append(1.0 / len(others))
        found.append(float(np.mean(shares)))
    return found


def test_uniqueness_is_that_of_the_book_on_irregular_rows(irregular: Panel) -> None:
    """Gaps, late listings and missing labels: the fast way gives what counting by hand gives."""
    rows = labelled(irregular)
    found = uniqueness(irregular, rows, HORIZON)
    np.testing.assert_allclose(found, by_hand(irregular, rows), rtol=1e-12)
    assert found.min() > 0
    assert found.max() <= 1
    assert found.std() > 0.01  # irregular, or this says nothing


def test_labels_that_never_overlap_are_unique(irregular: Panel) -> None:
    """Every HORIZON-th row of a symbol, and labels of one bar, count in full."""
    apart = np.arange(*irregular.rows_of("BBB").indices(irregular.rows))[: -2 * HORIZON : HORIZON]
    np.testing.assert_allclose(uniqueness(irregular, apart, HORIZON), 1.0)
    every = np.arange(irregular.rows)
    np.testing.assert_allclose(uniqueness(irregular, every, 1)[:-1], 1.0)


def test_labels_of_other_symbols_take_nothing_away(irregular: Panel) -> None:
    """A symbol's uniqueness is the same alone and among the others."""
    rows = labelled(irregular)
    alone = rows[irregular.symbol_codes[rows] == 1]
    together = uniqueness(irregular, rows, HORIZON)[irregular.symbol_codes[rows] == 1]
    np.testing.assert_array_equal(uniqueness(irregular, alone, HORIZON), together)
    assert len(uniqueness(irregular, rows[:0], HORIZON)) == 0


def with_rows(panel: Panel, rows: np.ndarray[Any, Any], code: LabelCode) -> FitData:
    """Return the data of a fit with these training rows."""
    target = panel.column("fwd_ret_5d")
    empty = np.empty(0, dtype=np.int64)
    parts = {"train": rows, "valid": empty, "test": empty}
    return FitData(panel=panel, target=target, horizon_bars=HORIZON, features=("f0",), code=code, **parts)


def test_row_weights_have_mean_one_and_no_negative_number(irregular: Panel) -> None:
    """With and without overlap, in the proportion of the uniqueness."""
    rows = labelled(irregular)
    data = with_rows(irregular, rows, LabelCode(task="regression"))
    found = row_weights(data, PLAIN)
    assert found.dtype == np.float32
    assert found.mean(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    assert found.min() > 0
    own = uniqueness(irregular, rows, HORIZON)
    np.testing.assert_allclose(found, own / own.mean(), rtol=1e-6)
    np.testing.assert_array_equal(row_weights(data, {**PLAIN, "overlap_weights": 0}), 1.0)


def test_balanced_classes_weigh_the_same_in_sum() -> None:
    """At 1 every class has the same weight in all, at 0 none is changed, between part of the way."""
    places = np.repeat(np.arange(3), (700, 250, 50)).astype(np.float32)
    full = np.array(class_weights(places, 3, 1.0))
    np.testing.assert_allclose(full * (700, 250, 50), 1000 / 3)
    assert class_weights(places, 3, 0.0) == ()
    np.testing.assert_allclose(class_weights(places, 3, 0.5), np.sqrt(full))
    assert class_weights(places, 4, 1.0)[3] == 1.0  # a class that no row has


def test_class_weights_and_overlap_are_multiplied(make_spec: Any) -> None:
    """The proportion of two rows is that of their uniqueness times that of their classes."""
    data = fit_data(make_spec(target="y_class_1d"))
    weights = class_weights(data.encoded_at(data.train), 3, 1.0)
    data = replace(data, code=replace(data.code, class_weights=weights))
    found = row_weights(data, PLAIN)
    assert found.mean(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    sums = np.bincount(data.encoded_at(data.train).astype(int), weights=found)
    np.testing.assert_allclose(sums, sums.mean(), rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_decoded_gives_back_the_shares_of_the_data(classes: int) -> None:
    """Where every row looks alike, the weighted answer is even, and the decoded one is the true share."""
    random = np.random.default_rng(1)
    places = random.choice(classes, size=5000, p=[0.9, 0.1] if classes == 2 else [0.8, 0.15, 0.05])
    weights = class_weights(places.astype(np.float32), classes, 1.0)
    task = "binary" if classes == 2 else "multiclass"
    code = LabelCode(task=task, classes=tuple(map(float, range(classes))), class_weights=weights)
    even = np.full((1, classes), 1 / classes)
    shares = np.bincount(places) / len(places)
    got = code.decoded(even[:, 1] if classes == 2 else even)
    np.testing.assert_allclose(got.ravel(), shares[1:] if classes == 2 else shares, rtol=1e-6)


@pytest.mark.parametrize("target", ["y_rare_1d", "y_rare3_1d"])
def test_probabilities_of_a_balanced_fit_are_calibrated(make_spec: Any, tmp_path: Path, target: str) -> None:
    """Trained with equal weights in sum, a model still says how often the rare class comes."""
    panel = rare_panel(tmp_path)
    where = {"panel_path": panel.path, "panel_key": panel.key, "target": target, "family": "FTRLProximal"}
    balanced = bundle_of(make_spec(params={"class_balance": 1.0}, **where), tmp_path / "balanced")
    rows = balanced.predictions()
    rare = rows.probabilities[:, 2] if target == "y_rare3_1d" else rows.prediction
    share = float((rows.label == rows.label.max()).mean())
    assert 0.03 < share < 0.12
    assert rare.mean() == pytest.approx(share, abs=0.02)
    assert balanced.card["metrics"]["error_reduction"] > 0.02


def rare_panel(directory: Path) -> Panel:
    """Return a panel whose rare class, about one row in 15, follows the first feature."""
    frames = {}
    for place, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        frame = symbol_frame(symbol, place)
        noise = np.random.default_rng([place, 4]).standard_normal(len(frame))
        rare = frame["f0"] + 0.6 * noise > 1.7
        frame["y_rare_1d"] = rare.astype(np.float32)
        frame["y_rare3_1d"] = pd.Series(np.where(rare, 2, noise > 0)).astype(np.float32)
        frames[symbol] = frame
    return write_panel(directory / "rare", frames)
