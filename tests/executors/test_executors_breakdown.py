"""Scores by period and by symbol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.breakdown import by_period, by_symbol
from panel.aligned import Panel
from panel.metrics import CROSS_SECTIONAL

HOW = {"task": "regression", "horizon_bars": 1}


def test_each_calendar_month_has_its_score(panel: Panel) -> None:
    """Five months of the test part: rows add up, and a forecast that stopped working shows where."""
    rows = np.flatnonzero(panel.times >= np.datetime64("2021-07-01", "ns").astype(np.int64))
    labels = np.array(panel.values("fwd_ret_1d")[rows])
    predicted = labels.copy()
    is_late = panel.times[rows] >= np.datetime64("2021-11-01", "ns").astype(np.int64)
    predicted[is_late] = -labels[is_late]
    found = by_period(panel, rows, predicted, labels, view=CROSS_SECTIONAL, **HOW)
    assert [one["from"][:7] for one in found] == ["2021-07", "2021-08", "2021-09", "2021-10", "2021-11"]
    assert found[0]["until"] == found[1]["from"]
    assert sum(one["rows"] for one in found) == len(rows)
    assert [round(one["score"], 6) for one in found] == [1.0, 1.0, 1.0, 1.0, -1.0]
    assert {one["metric"] for one in found} == {"rank_ic"}


@pytest.mark.parametrize(("step", "days"), [("h", 300), ("B", 800)])
def test_a_span_of_few_or_of_many_months_is_parted_into_twelve(tmp_path: Path, step: str, days: int) -> None:
    """300 hours, or 800 days: no calendar fits, twelve equal periods do; no row is lost at an edge."""
    frames = {name: symbol_frame(name, place, days=days) for place, name in enumerate(SYMBOLS[:3])}
    for frame in frames.values():
        frame["date"] = pd.date_range("2020-01-06", periods=days, freq=step, tz="UTC")
    panel = write_panel(tmp_path, frames)
    rows = np.arange(panel.rows)
    labels = np.array(panel.values("fwd_ret_1d"))
    found = by_period(panel, rows, labels, labels, view=CROSS_SECTIONAL, **HOW)
    assert len(found) == 12
    assert sum(one["rows"] for one in found) == panel.rows


def test_each_symbol_has_its_score_over_time(panel: Panel) -> None:
    """A symbol the forecast is wrong about stands out, in the panel's order of symbols."""
    rows = np.arange(panel.rows)
    labels = np.array(panel.values("fwd_ret_1d"))
    predicted = np.where(panel.symbol_codes == 2, -labels, labels)
    found = by_symbol(panel, rows, predicted, labels, **HOW)
    assert [one["symbol"] for one in found] == list(SYMBOLS)
    assert [round(one["score"]) for one in found] == [1, 1, -1, 1, 1, 1]
    assert {one["metric"] for one in found} == {"rank_corr"}
    assert [one["rows"] for one in found] == [500] * 6


def test_no_row_has_no_period(panel: Panel) -> None:
    """Nothing is judged where there is nothing."""
    nothing = np.zeros(0, dtype=np.float32)
    rows = np.zeros(0, dtype=np.int64)
    assert by_period(panel, rows, nothing, nothing, view=CROSS_SECTIONAL, **HOW) == []
    assert by_symbol(panel, rows, nothing, nothing, **HOW) == []
