"""A DataFrame as a panel: the same as files of the same bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from panel.errors import BadData
from panel.in_memory import panel_of_frame
from panel.names import TIME_COLUMNS
from panel.prepare import prepare_panel

MOMENTS = pd.date_range("2021-03-01", periods=150, freq="D", tz="UTC")


def bars(symbol: str, seed: int) -> pd.DataFrame:
    """Bars of one symbol with a gap in a feature, one value that is infinite, and one impossible bar."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.standard_normal((len(MOMENTS), 2)), columns=["f0", "f1"])
    frame.insert(0, "date", MOMENTS)
    frame.insert(1, "symbol", symbol)
    frame["high"], frame["low"] = 2.0, 1.0
    frame.loc[3, "f0"], frame.loc[4, "f1"], frame.loc[5, "high"] = np.nan, np.inf, 0.5
    frame["y_1d"] = random.standard_normal(len(MOMENTS))
    return frame


def test_a_frame_is_the_panel_its_file_would_be(tmp_path: Path) -> None:
    """Rows in the order of symbol and time, the same bits and symbols; impossible bars are left out."""
    frame = pd.concat([bars("BBB", 1), bars("AAA", 2)]).sample(frac=1, random_state=3)
    frame.to_parquet(tmp_path / "all.parquet", index=False)
    filed = prepare_panel(tmp_path, symbols=None, cache_dir=tmp_path / "cache")
    made = panel_of_frame(frame)
    assert (made.symbols, made.rows) == (("AAA", "BBB"), 2 * (len(MOMENTS) - 1))
    for name in ("times", "symbol_codes", "time_codes", "timestamps"):
        assert np.array_equal(getattr(made, name), getattr(filed, name)), name
    for name in ("f0", "f1", "high", "low", "y_1d"):
        assert made.values(name).tobytes() == filed.values(name).tobytes(), name
    assert made.rows_of("BBB") == filed.rows_of("BBB")
    assert np.array_equal(made.matrix(["f1", "f0"]), filed.matrix(["f1", "f0"]), equal_nan=True)


def test_each_row_knows_its_place_in_the_frame() -> None:
    """However the frame is ordered."""
    frame = pd.concat([bars("BBB", 1), bars("AAA", 2)]).sample(frac=1, random_state=3)
    made = panel_of_frame(frame)
    moments = frame["date"].dt.tz_localize(None).to_numpy()
    times = moments.astype("datetime64[ns]").astype(np.int64)[made.places]
    assert np.array_equal(times, made.times)


@pytest.mark.parametrize("named", [None, "date", "whatever"])
def test_moments_may_stand_in_the_index(named: str | None) -> None:
    """With the name of a time column, or without any; a column of that name may be missing then."""
    frame = bars("AAA", 1).set_index("date").rename_axis(named)
    if named == "whatever":
        with pytest.raises(BadData, match="no time column"):
            panel_of_frame(frame)
    else:
        assert np.array_equal(
            panel_of_frame(frame).values("f0"), panel_of_frame(bars("AAA", 1)).values("f0"), equal_nan=True
        )


@pytest.mark.parametrize("index", ["date", ["symbol", "date"]])
def test_what_the_index_says_may_be_a_column_too(index: str | list[str]) -> None:
    """As `set_index(..., drop=False)` leaves it; so may an index of moments without a name."""
    frame, rows = bars("AAA", 1), panel_of_frame(bars("AAA", 1)).rows
    assert panel_of_frame(frame.set_index(index, drop=False)).rows == rows
    nameless = frame.rename(columns={"date": TIME_COLUMNS[2]}).set_index(TIME_COLUMNS[2], drop=False)
    assert panel_of_frame(nameless.rename_axis(None)).rows == rows


def test_symbol_and_time_may_be_levels_of_the_index() -> None:
    """As tables of several symbols often have them."""
    frame = pd.concat([bars("BBB", 1), bars("AAA", 2)])
    assert panel_of_frame(frame.set_index(["symbol", "date"])).symbols == ("AAA", "BBB")


def test_a_frame_of_one_symbol_needs_no_column_for_it() -> None:
    """It is said instead; without either it is told."""
    frame = bars("AAA", 1).drop(columns="symbol")
    assert panel_of_frame(frame, symbol="AAA").symbols == ("AAA",)
    with pytest.raises(BadData, match="no symbol column"):
        panel_of_frame(frame)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"date": [], "symbol": [], "f0": []}), "no rows"),
        (pd.concat([bars("AAA", 1), bars("AAA", 1)]), "two rows at"),
        (bars("AAA", 1).drop(columns="date"), "no time column"),
        (bars("AAA", 1).rename(columns={"f1": "f0"}), "several columns are called f0"),
        (bars("AAA", 1).assign(note=[1, *["x"] * (len(bars("AAA", 1)) - 1)]), "of several kinds .*note"),
        (bars("AAA", 1).drop(columns="symbol"), r"among (?!.*place_in).* Name"),
    ],
)
def test_a_frame_that_cannot_be_bars_is_told(frame: pd.DataFrame, words: str) -> None:
    """The same sentences as for files."""
    with pytest.raises(BadData, match=words):
        panel_of_frame(frame)
