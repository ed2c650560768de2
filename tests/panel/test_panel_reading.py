"""Files to clean rows: times of every kind, numbers, impossible bars."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import panel_cases as cases
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from panel.errors import BadData
from panel.files import SymbolFiles, find_symbol_files
from panel.reading import SymbolFrame, clean_bars, read_frames

MOMENTS = pd.date_range("2021-03-01 14:30", periods=6, freq="5min", tz="UTC").as_unit("ns")
NANOSECONDS = MOMENTS.astype("int64").to_numpy()


def read(frame: pd.DataFrame, folder: Path, *, suffix: str = "parquet", **options: Any) -> SymbolFrame:
    """A frame written as one file of the symbol X and read back."""
    path = folder / f"X.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    (made,) = read_frames([SymbolFiles(symbol="X", paths=(path,), long=False)], **options)
    return made


def test_no_time_column_lists_what_was_looked_for(tmp_path: Path) -> None:
    """The message says which names would do."""
    with pytest.raises(BadData, match="ts, timestamp, time, datetime, date"):
        read(pd.DataFrame({"when": MOMENTS, "a": np.arange(6.0)}), tmp_path)


def test_rows_come_out_in_time_order(tmp_path: Path) -> None:
    """The order in the file does not matter."""
    order = [3, 0, 5, 1, 4, 2]
    made = read(pd.DataFrame({"ts": MOMENTS, "a": np.arange(6.0)}).iloc[order], tmp_path)
    assert np.array_equal(made.times, NANOSECONDS)
    assert np.array_equal(made.columns["a"], np.arange(6.0, dtype=np.float32))


def test_two_rows_at_one_time_are_refused_with_the_place(tmp_path: Path) -> None:
    """The first repeated moment is named."""
    moments = MOMENTS.to_series().reset_index(drop=True)
    moments[3] = moments[2]
    with pytest.raises(BadData, match=r"X has two rows at 2021-03-01T14:40:00\+00:00 \(1 such"):
        read(pd.DataFrame({"ts": moments, "a": np.arange(6.0)}), tmp_path)


def test_rows_without_a_time_are_dropped_and_counted(tmp_path: Path) -> None:
    """A missing time is a dirty row, not a broken file."""
    moments = MOMENTS.to_series().reset_index(drop=True)
    moments[4] = pd.NaT
    made = read(pd.DataFrame({"ts": moments, "a": np.arange(6.0)}), tmp_path)
    assert len(made.times) == 5
    assert made.notes == ("X: 1 rows without a time dropped",)


def test_numbers_of_every_kind_become_floats(tmp_path: Path) -> None:
    """Integers, booleans and missing values are numbers; words and second times are not."""
    frame = pd.DataFrame(
        {
            "ts": MOMENTS,
            "whole": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"),
            "yes": [True, False] * 3,
            "category": pd.Categorical([1.0, 2.0] * 3),
            "none": [None] * 6,
            "words": list("abcdef"),
            "later": MOMENTS,
        }
    )
    made = read(frame, tmp_path)
    assert set(made.texts) == {"words", "later"}
    assert made.columns["whole"].dtype == np.float32
    assert np.isnan(made.columns["whole"][2])
    assert made.columns["yes"].tolist() == [1.0, 0.0] * 3
    assert made.columns["category"].tolist() == [1.0, 2.0] * 3
    assert np.isnan(made.columns["none"]).all()


def test_infinite_values_count_as_missing(tmp_path: Path) -> None:
    """A division by zero upstream, or a number beyond float32, does not reach a model."""
    made = read(pd.DataFrame({"ts": MOMENTS, "a": [1.0, np.inf, -np.inf, 1e300, 3.0, 4.0]}), tmp_path)
    assert np.isnan(made.columns["a"]).sum() == 3
    assert made.notes == ("X: 3 infinite values taken as missing",)


@pytest.mark.parametrize(
    ("column", "value"),
    [("high", 90.0), ("low", 110.0), ("close", 200.0), ("open", 1.0), ("volume", -1.0)],
)
def test_an_impossible_bar_is_dropped_and_counted(column: str, value: float, tmp_path: Path) -> None:
    """High below low, a close outside of both or a negative volume cost their bar alone."""
    frame = cases.bars(10)
    frame.loc[4, column] = value
    made = read(frame.rename(columns=str.capitalize), tmp_path)
    assert len(made.times) == 9
    assert made.notes == ("X: 1 impossible bars dropped, the first at 2020-01-05T00:00:00+00:00",)


def test_rounding_and_negative_prices_are_no_impossible_bars() -> None:
    """Futures have traded below zero, and vendors round."""
    columns = {
        "high": np.array([-1.0, 100.0]),
        "low": np.array([-3.0, 99.0]),
        "close": np.array([-2.0, 100.00001]),
    }
    assert clean_bars(columns).all()


def test_files_of_a_symbol_may_differ_in_columns(tmp_path: Path) -> None:
    """What one file lacks is missing there, not everywhere."""
    place = tmp_path / "symbol=X"
    place.mkdir()
    frame = pd.DataFrame({"ts": MOMENTS, "a": np.arange(6.0), "b": np.arange(6.0)})
    frame.iloc[:3].to_parquet(place / "one.parquet", index=False)
    frame.iloc[3:].drop(columns="b").to_parquet(place / "two.parquet", index=False)
    (made,) = read_frames(find_symbol_files(tmp_path))
    assert np.isnan(made.columns["b"]).tolist() == [False] * 3 + [True] * 3


def test_partition_names_do_not_become_columns(tmp_path: Path) -> None:
    """symbol= and interval= in the path are no data of the file."""
    cases.write({"X": cases.labelled(5)}, tmp_path / "interval=1d")
    (made,) = read_frames(find_symbol_files(tmp_path))
    assert set(made.columns) == {"alpha", "beta", "fwd_ret_1d", "y_up_5d"}


def test_odd_tickers_survive_a_long_csv(tmp_path: Path) -> None:
    """NA is no missing value and 000001 is no number."""
    parts = [
        pd.DataFrame({"date": MOMENTS, "ticker": symbol, "a": np.arange(6.0) + place})
        for place, symbol in enumerate(("NA", "000001", "TRUE"))
    ]
    pd.concat(parts).sample(frac=1.0, random_state=0).to_csv(tmp_path / "bars.csv", index=False)
    made = list(read_frames(find_symbol_files(tmp_path)))
    assert [frame.symbol for frame in made] == ["000001", "NA", "TRUE"]
    assert [frame.columns["a"].tolist()[0] for frame in made] == [1.0, 0.0, 2.0]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_an_empty_file_is_noted(suffix: str, tmp_path: Path) -> None:
    """No rows is worth a word, not an error, in either format."""
    made = read(pd.DataFrame({"ts": MOMENTS, "a": np.arange(6.0)}).iloc[:0], tmp_path, suffix=suffix)
    assert made.notes == ("X: no rows",)


def test_one_word_among_numbers_is_shown(tmp_path: Path) -> None:
    """A column of a csv that one cell makes worthless says which cell; other kinds say their kind."""
    odd = ["1.5", "", "2", "n/k", "3", "4"]
    assert read(pd.DataFrame({"ts": MOMENTS, "a": odd}), tmp_path, suffix="csv").texts == {"a": "'n/k'"}
    assert read(pd.DataFrame({"ts": MOMENTS, "a": MOMENTS}), tmp_path).texts == {"a": "timestamp[ns, tz=UTC]"}


def test_rows_of_no_symbol_are_dropped_and_counted_once(tmp_path: Path) -> None:
    """In a long file they belong to nobody; nothing disappears without a word."""
    frame = pd.DataFrame({"ts": [*MOMENTS, *MOMENTS], "symbol": ["A"] * 6 + ["B"] * 5 + [None], "a": 1.0})
    frame.to_parquet(tmp_path / "all.parquet", index=False)
    made = list(read_frames(find_symbol_files(tmp_path)))
    assert [len(one.times) for one in made] == [6, 5]
    assert [one.notes for one in made] == [("all.parquet: 1 rows without a symbol dropped",), ()]


def test_a_cut_archive_is_named(tmp_path: Path) -> None:
    """A compressed csv that ends too early is one clear error."""
    path = tmp_path / "X.csv.gz"
    pd.DataFrame({"ts": MOMENTS.repeat(500), "a": np.random.default_rng(0).random(3_000)}).to_csv(path)
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(BadData, match=r"X\.csv\.gz: cannot be read"):
        list(read_frames([SymbolFiles(symbol="X", paths=(path,), long=False)]))


def test_repeated_column_names_are_refused(tmp_path: Path) -> None:
    """Two columns of one name cannot be told apart."""
    values = pa.array(np.arange(6.0))
    table = pa.Table.from_arrays([pa.array(NANOSECONDS), values, values], names=["ts", "a", "a"])
    pq.write_table(table, tmp_path / "X.parquet")
    with pytest.raises(BadData, match="several columns are called a"):
        list(read_frames([SymbolFiles(symbol="X", paths=(tmp_path / "X.parquet",), long=False)]))


def test_repeated_column_names_of_a_csv_are_refused(tmp_path: Path) -> None:
    """Nor does the second column get another name behind the user's back."""
    (tmp_path / "X.csv").write_text("ts,a,a\n2021-03-01,1,2\n")
    with pytest.raises(BadData, match="several columns are called a"):
        list(read_frames(find_symbol_files(tmp_path)))


def test_doubles_stay_doubles_when_asked(tmp_path: Path) -> None:
    """Labelling reads prices in full precision."""
    made = read(pd.DataFrame({"ts": MOMENTS, "a": np.full(6, 1.0 / 3.0)}), tmp_path, dtype=np.float64)
    assert made.columns["a"].dtype == np.float64
    assert made.columns["a"][0] == 1.0 / 3.0
