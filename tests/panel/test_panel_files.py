"""Every layout is found by itself; what is missing or ambiguous is said."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import panel_cases as cases
import pytest

from panel.errors import BadData, DataNotFound, UnknownSymbol
from panel.files import SymbolFiles, column_names, data_files, find_symbol_files, named_column

Frames = dict[str, pd.DataFrame]


def hive(frames: Frames, folder: Path) -> Path:
    """symbol=X/X.parquet."""
    return cases.write(frames, folder)


def hive_with_interval(frames: Frames, folder: Path) -> Path:
    """interval=1d/symbol=X/X.parquet."""
    cases.write(frames, folder / "interval=1d")
    return folder


def hive_in_parts(frames: Frames, folder: Path) -> Path:
    """symbol=X/ with the rows spread over three files."""
    for symbol, frame in frames.items():
        place = folder / f"symbol={symbol}"
        place.mkdir()
        for part in range(3):
            frame.iloc[part::3].to_parquet(place / f"part-{part}.parquet", index=False)
    return folder


def flat_parquet(frames: Frames, folder: Path) -> Path:
    """X.parquet."""
    for symbol, frame in frames.items():
        frame.to_parquet(folder / f"{symbol}.parquet", index=False)
    return folder


def flat_mtf(frames: Frames, folder: Path) -> Path:
    """X_mtf.parquet."""
    for symbol, frame in frames.items():
        frame.to_parquet(folder / f"{symbol}_mtf.parquet", index=False)
    return folder


def flat_csv(frames: Frames, folder: Path) -> Path:
    """X.csv."""
    for symbol, frame in frames.items():
        frame.to_csv(folder / f"{symbol}.csv", index=False)
    return folder


def flat_csv_gz(frames: Frames, folder: Path) -> Path:
    """X.csv.gz."""
    for symbol, frame in frames.items():
        frame.to_csv(folder / f"{symbol}.csv.gz", index=False)
    return folder


def named_directories(frames: Frames, folder: Path) -> Path:
    """X/bars.parquet."""
    for symbol, frame in frames.items():
        (folder / symbol).mkdir()
        frame.to_parquet(folder / symbol / "bars.parquet", index=False)
    return folder


def long_file(frames: Frames, folder: Path) -> Path:
    """One parquet file of all symbols, given itself as the data."""
    whole = pd.concat([frame.assign(symbol=symbol) for symbol, frame in frames.items()])
    whole.to_parquet(folder / "everything.parquet", index=False)
    return folder / "everything.parquet"


def long_dataset(frames: Frames, folder: Path) -> Path:
    """A directory of several long csv and parquet files, rows of a symbol spread over them."""
    whole = pd.concat([frame.assign(Ticker=symbol) for symbol, frame in frames.items()])
    (folder / "year=2020").mkdir()
    whole.iloc[::2].to_parquet(folder / "year=2020" / "part-0.parquet", index=False)
    whole.iloc[1::2].to_csv(folder / "year=2020" / "part-1.csv", index=False)
    return folder


LAYOUTS = [
    hive,
    hive_with_interval,
    hive_in_parts,
    flat_parquet,
    flat_mtf,
    flat_csv,
    flat_csv_gz,
    named_directories,
    long_file,
    long_dataset,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_finds_every_symbol(layout: Callable[[Frames, Path], Path], tmp_path: Path) -> None:
    """The symbols come sorted, whatever the layout, and one of them can be asked for alone."""
    data_dir = layout({"MSFT": cases.labelled(12, 1), "AAPL": cases.labelled(12, 2)}, tmp_path)
    assert [entry.symbol for entry in find_symbol_files(data_dir)] == ["AAPL", "MSFT"]
    assert [entry.symbol for entry in find_symbol_files(data_dir, ["MSFT"])] == ["MSFT"]
    with pytest.raises(UnknownSymbol, match=r"for MSFTX; present: AAPL, MSFT\. Did you mean MSFT"):
        find_symbol_files(data_dir, ["AAPL", "MSFTX"])


def test_several_intervals_must_be_told_apart(tmp_path: Path) -> None:
    """Bars of different intervals are never mixed; the error names the option."""
    for interval in ("1m", "5m"):
        cases.write({"AAPL": cases.labelled(5)}, tmp_path / f"interval={interval}")
    with pytest.raises(BadData, match=r"1m, 5m.*interval="):
        find_symbol_files(tmp_path)
    with pytest.raises(BadData, match="no interval=1h there"):
        find_symbol_files(tmp_path, interval="1h")
    (found,) = find_symbol_files(tmp_path, interval="5m")
    assert all("interval=5m" in str(path) for path in found.paths)


def test_nothing_there_names_the_accepted_layouts(tmp_path: Path) -> None:
    """An empty or missing directory is answered with what was looked for."""
    with pytest.raises(DataNotFound, match="symbol=AAPL"):
        find_symbol_files(tmp_path)
    with pytest.raises(DataNotFound, match="no such file"):
        find_symbol_files(tmp_path / "nowhere")


def test_the_better_file_of_a_symbol_is_taken(tmp_path: Path) -> None:
    """X_mtf.parquet before X.parquet before X.csv, so no row counts twice."""
    frames = {"AAPL": cases.labelled(5)}
    for layout in (flat_csv, flat_parquet, flat_mtf):
        layout(frames, tmp_path)
    assert find_symbol_files(tmp_path) == (
        SymbolFiles(symbol="AAPL", paths=(tmp_path / "AAPL_mtf.parquet",), long=False),
    )


def test_a_symbols_own_file_may_repeat_its_name_inside(tmp_path: Path) -> None:
    """AAPL.parquet with a symbol column of AAPL alone is an ordinary file of one symbol."""
    cases.labelled(5).assign(symbol="AAPL").to_parquet(tmp_path / "AAPL.parquet", index=False)
    (found,) = find_symbol_files(tmp_path)
    assert not found.long


def test_symbols_in_directory_names_are_unquoted(tmp_path: Path) -> None:
    """A slash in a symbol travels percent-encoded."""
    cases.write({"BRK%2FB": cases.labelled(5)}, tmp_path)
    assert find_symbol_files(tmp_path)[0].symbol == "BRK/B"


def test_hidden_and_unfinished_files_are_passed_over(tmp_path: Path) -> None:
    """Dotfiles, _metadata and foreign files are no data."""
    cases.write({"AAPL": cases.labelled(5)}, tmp_path)
    for name in (".AAPL.parquet", "_metadata.parquet", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in data_files(tmp_path)] == ["AAPL.parquet"]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """What cannot be read at all says which file."""
    (tmp_path / "AAPL.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadData, match=r"AAPL\.parquet: cannot be read"):
        find_symbol_files(tmp_path)


def test_column_names_come_from_the_head_alone(tmp_path: Path) -> None:
    """The head of a csv is enough, with or without a byte order mark."""
    (tmp_path / "X.csv").write_text("\ufeffts,a\nbroken", encoding="utf-8")
    assert column_names(tmp_path / "X.csv") == ("ts", "a")


def test_columns_are_found_whatever_their_case() -> None:
    """Date, DATE and date are one name; the order of the wanted names decides."""
    assert named_column(["Close", "Date", "TS"], ("ts", "date")) == "TS"
    assert named_column(["Close"], ("ts", "date")) is None


def test_bars_beside_symbol_directories_are_not_lost(tmp_path: Path) -> None:
    """A forgotten MSFT.parquet beside symbol=AAPL/ is an error; a table that holds no bars is none."""
    cases.write({"AAPL": cases.labelled(5)}, tmp_path)
    (tmp_path / "sectors.csv").write_text("name,sector\nAAPL,tech\n")
    assert [found.symbol for found in find_symbol_files(tmp_path)] == ["AAPL"]
    flat_parquet({"MSFT": cases.labelled(5)}, tmp_path)
    with pytest.raises(BadData, match=r"MSFT\.parquet: these bars lie outside"):
        find_symbol_files(tmp_path)


def test_a_csv_that_continues_a_parquet_is_not_lost(tmp_path: Path) -> None:
    """In a directory of a symbol a csv may be the copy of a parquet file, not a part of its own."""
    cases.write({"AAPL": cases.labelled(5)}, tmp_path)
    cases.labelled(5).to_csv(tmp_path / "symbol=AAPL" / "AAPL.csv", index=False)
    assert [path.suffix for path in find_symbol_files(tmp_path)[0].paths] == [".parquet"]
    cases.labelled(5).to_csv(tmp_path / "symbol=AAPL" / "2022.csv", index=False)
    with pytest.raises(BadData, match=r"2022\.csv: bars in csv beside others in parquet"):
        find_symbol_files(tmp_path)


def test_a_symbol_in_its_own_and_in_a_long_file_is_refused(tmp_path: Path) -> None:
    """Which of the two counts is not for us to say."""
    flat_parquet({"AAPL": cases.labelled(5)}, tmp_path)
    both = [cases.labelled(5, place).assign(symbol=name) for place, name in enumerate(("AAPL", "MSFT"))]
    pd.concat(both).to_parquet(tmp_path / "all.parquet", index=False)
    with pytest.raises(BadData, match=r"AAPL lies in this file of several symbols and in AAPL\.parquet"):
        find_symbol_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"symbol=B\xe9", r"symbol 'B\\\\xe9': the name is not UTF-8"),
        (b"symbol=..%2F..%2Fetc", "a path or a control character"),
        (b"symbol=A%0AB", "a path or a control character"),
        (b"symbol=%20", "the name is empty"),
    ],
)
def test_a_symbol_that_no_plan_could_name_is_refused(name: bytes, message: str, tmp_path: Path) -> None:
    """It is said before anything is computed for it."""
    (tmp_path / os.fsdecode(name)).mkdir()
    cases.labelled(5).to_csv(tmp_path / os.fsdecode(name) / "X.csv", index=False)
    with pytest.raises(BadData, match=message):
        find_symbol_files(tmp_path)
