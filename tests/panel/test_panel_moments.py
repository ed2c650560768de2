"""What a time column says becomes UTC nanoseconds, or is refused; no day is guessed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from panel.errors import BadData
from panel.files import SymbolFiles
from panel.moments import moment_text
from panel.reading import SymbolFrame, read_frames

MOMENTS = pd.date_range("2021-03-01 14:30", periods=6, freq="5min", tz="UTC").as_unit("ns")
NANOSECONDS = MOMENTS.astype("int64").to_numpy()


def read(frame: pd.DataFrame, folder: Path, *, suffix: str = "parquet") -> SymbolFrame:
    """A frame written as one file of the symbol X and read back."""
    path = folder / f"X.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    (made,) = read_frames([SymbolFiles(symbol="X", paths=(path,), long=False)])
    return made


TIME_KINDS = {
    "aware": MOMENTS,
    "naive is utc": MOMENTS.tz_localize(None),
    "new york": MOMENTS.tz_convert("America/New_York"),
    "microseconds": MOMENTS.as_unit("us"),
    "integers": NANOSECONDS,
    "unsigned": NANOSECONDS.astype(np.uint64),
    "texts": MOMENTS.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "texts with zone": MOMENTS.tz_convert("Asia/Tokyo").strftime("%Y-%m-%d %H:%M:%S%z"),
    "spelt-out texts": MOMENTS.strftime("%d %b %Y %H:%M"),
    "texts by category": pd.Categorical(MOMENTS.strftime("%Y-%m-%dT%H:%M:%SZ")),
}


@pytest.mark.parametrize("name", ["ts", "timestamp", "time", "datetime", "date", "Date", "Timestamp"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_time_column_is_found(name: str, suffix: str, tmp_path: Path) -> None:
    """All five names in any case, in both formats."""
    made = read(pd.DataFrame({"a": np.arange(6.0), name: MOMENTS}), tmp_path, suffix=suffix)
    assert np.array_equal(made.times, NANOSECONDS)
    assert list(made.columns) == ["a"]


@pytest.mark.parametrize("kind", TIME_KINDS)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_kind_of_time_becomes_utc_nanoseconds(kind: str, suffix: str, tmp_path: Path) -> None:
    """Zones are converted, naive times are UTC, integers are nanoseconds already."""
    made = read(pd.DataFrame({"ts": TIME_KINDS[kind], "a": np.arange(6.0)}), tmp_path, suffix=suffix)
    assert np.array_equal(made.times, NANOSECONDS)


def test_dates_are_midnight_utc(tmp_path: Path) -> None:
    """Daily data with plain dates starts its days at 0:00 UTC."""
    days = pd.date_range("2021-03-01", periods=6, freq="D")
    made = read(pd.DataFrame({"date": days.date, "a": np.arange(6.0)}), tmp_path)
    assert np.array_equal(made.times, days.astype("datetime64[ns]").astype("int64"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (NANOSECONDS // 1_000_000_000, "no nanoseconds"),
        (NANOSECONDS // 1_000_000, "no nanoseconds"),
        (np.arange(6) + 20_210_301, "no nanoseconds"),
        (NANOSECONDS.astype(np.float64), "holds double"),
        (["soon"] * 6, "cannot be read"),
        (["31/12/2021", "12/31/2021"] * 3, "cannot be read"),
        ([f"3{year:03d}-01-01" for year in range(6)], "does not fit nanoseconds"),
        (pd.date_range("3000-01-01", periods=6, unit="us"), "does not fit nanoseconds"),
        ([f"0{month}.02.2021" for month in range(1, 7)], "different days"),
        (["09:30", "09:35", "09:40", "09:45", "09:50", "09:55"], "without a date"),
    ],
)
def test_times_that_are_none_are_refused(values: Any, message: str, tmp_path: Path) -> None:
    """Seconds, milliseconds, numbers of days, floats and words are told from nanoseconds."""
    with pytest.raises(BadData, match=message) as refused:
        read(pd.DataFrame({"ts": values, "a": np.arange(6.0)}), tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("spelling", ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y"])
def test_the_only_reading_of_all_dates_is_taken(spelling: str, tmp_path: Path) -> None:
    """Day or month first is found out from all the dates, not from the first one, which says nothing."""
    days = pd.date_range("2021-03-04", periods=20, freq="D", tz="UTC").as_unit("ns")
    made = read(pd.DataFrame({"date": days.strftime(spelling), "a": 1.0}), tmp_path, suffix="csv")
    assert np.array_equal(made.times, days.astype("int64"))


def test_a_column_without_any_time_gives_no_rows(tmp_path: Path) -> None:
    """Its rows are dirty, each of them, and counted."""
    made = read(pd.DataFrame({"ts": [None] * 6, "a": np.arange(6.0)}), tmp_path)
    assert len(made.times) == 0
    assert made.notes == ("X: no rows", "X: 6 rows without a time dropped")


def test_moments_are_written_in_utc() -> None:
    """Messages speak ISO 8601."""
    assert moment_text(int(NANOSECONDS[0])) == "2021-03-01T14:30:00+00:00"
