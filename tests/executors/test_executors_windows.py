"""Windows of rows for sequence families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from executor_panels import symbol_frame, write_panel

from executors.gpu.batches import WindowBatches
from executors.windows import DAY_NS, first_reachable, with_full_window
from panel.aligned import Panel


def test_gathered_batches_are_the_windows_that_end_at_the_rows() -> None:
    """What the network sees of row t are rows t - window + 1 to t, in order, and nothing after."""
    matrix = np.random.default_rng(3).standard_normal((50, 4)).astype(np.float32)
    batches = WindowBatches.of(matrix, window=5, first_row=100, device="cpu")
    rows = np.array([104, 149, 120], dtype=np.int64)
    expected = np.stack([matrix[row - 100 - 4 : row - 100 + 1] for row in rows])
    assert batches.at(rows).numpy().tobytes() == expected.tobytes()
    assert batches.flat.numel() * 4 > matrix.nbytes  # wider than what it views:
    assert batches.flat.untyped_storage().nbytes() == matrix.nbytes


def test_no_window_reaches_into_another_symbol(panel: Panel) -> None:
    """The first rows of every symbol have no full window, all later ones have."""
    rows = np.arange(panel.rows)
    full = with_full_window(panel, rows, 20)
    for symbol in panel.symbols:
        own = panel.rows_of(symbol)
        assert not full[own.start : own.start + 19].any()
        assert full[own.start + 19 : own.stop].all()
    assert with_full_window(panel, rows[::-1], 1).all()


def test_no_window_spans_a_gap_of_more_than_a_week(tmp_path: Path) -> None:
    """On daily data holidays are no gap, two missing weeks are."""
    frame = symbol_frame("A", 0, days=200)
    frame = frame.drop(index=range(100, 103)).drop(index=range(150, 162))
    panel = write_panel(tmp_path, {"A": frame})
    broken = np.flatnonzero(np.diff(first_reachable(panel))) + 1
    assert broken.tolist() == [147]  # the row after the two weeks; three dropped days do not break
    full = with_full_window(panel, np.arange(panel.rows), 10)
    assert not full[147 : 147 + 9].any()
    assert full[147 + 9 :].all()


def test_intraday_windows_cross_nights_but_not_holes_in_a_session(tmp_path: Path) -> None:
    """A missing hour within a day breaks a window, the night between two days does not."""
    days = pd.date_range("2021-03-01", periods=12, freq="B", tz="UTC")
    times = pd.DatetimeIndex([day + pd.Timedelta(minutes=m) for day in days for m in range(570, 960, 30)])
    frame = symbol_frame("A", 0, days=len(times)).drop(columns="date")
    frame.insert(0, "ts", times)
    frame = frame.rename(columns=lambda name: name.replace("_1d", "_30m"))
    hole = frame.index[(frame["ts"] == days[5] + pd.Timedelta(minutes=690))]
    panel = write_panel(tmp_path, {"A": frame.drop(index=hole)})
    assert panel.interval_ns < DAY_NS
    broken = np.flatnonzero(np.diff(first_reachable(panel))) + 1
    assert broken.tolist() == hole.tolist()
