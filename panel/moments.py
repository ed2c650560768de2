"""What a time column says, as nanoseconds since 1970 in UTC: datetimes, dates, texts or integers.

Nothing is guessed that could be another day: a text whose day and month cannot be told apart is refused.
"""

import re
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.tseries.api import guess_datetime_format

from panel.errors import BadData, first_line

# Integers below this are seconds, milliseconds or days rather than nanoseconds of a market's time.
EARLIEST_NS = 10_000_000_000_000_000
_FIX = "Write datetimes (ISO 8601) or integer nanoseconds since 1970 UTC."

Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def utc_nanoseconds(path: Path, name: str, column: pa.ChunkedArray) -> tuple[Int64s, Mask]:
    """UTC nanoseconds (rows,) int64 of the time column `name`, and which rows have a time, (rows,) bool.

    Raises:
        BadData: the column holds something else, or times that nanoseconds cannot express.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return utc_nanoseconds(path, name, pc.cast(column, kind.value_type))
    if pa.types.is_null(kind):  # how a file without rows, or without any time, comes out of a csv
        return np.zeros(len(column), dtype=np.int64), np.zeros(len(column), dtype=np.bool_)
    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column = _parsed(path, name, column)
        elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_integer(kind)):
            raise BadData(path, f"the time column {name} holds {kind}", _FIX)
        moments = column if pa.types.is_integer(kind) else _in_nanoseconds(column)
        filled = pc.fill_null(pc.cast(moments, pa.int64()), 0)
    except (pa.ArrowException, pd.errors.OutOfBoundsDatetime) as error:
        what = f"the time column {name} does not fit nanoseconds ({first_line(error)})"
        raise BadData(path, what, _FIX) from error
    valid: Mask = np.asarray(pc.is_valid(column).to_numpy(), dtype=np.bool_)
    times: Int64s = np.asarray(filled.to_numpy(), dtype=np.int64)
    if pa.types.is_integer(kind) and valid.any() and np.abs(times[valid]).max() < EARLIEST_NS:
        seen = int(times[valid][0])
        raise BadData(path, f"the integers in {name} (first {seen}) are no nanoseconds of our time", _FIX)
    return times, valid


def moment_text(time_ns: int) -> str:
    """A time in UTC nanoseconds as ISO 8601 text to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).isoformat(timespec="seconds")


def _in_nanoseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return pc.cast(column, pa.timestamp("ns", tz=zone))


def _parsed(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as moments: ISO 8601, or else all in the one format that reads every one of them."""
    texts = pd.Series(column.to_pandas(), dtype="str")
    first = next(iter(texts.dropna()), "")
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?(\.\d+)?", first):
        raise BadData(path, f"the time column {name} holds times of day without a date", _FIX)
    try:
        moments = pd.to_datetime(texts, utc=True, format="ISO8601")
    except pd.errors.OutOfBoundsDatetime:
        raise
    except ValueError as error:
        moments = _in_one_format(path, name, texts, first, error)
    return pa.chunked_array([pa.array(moments.dt.as_unit("ns"), from_pandas=True)])


def _in_one_format(
    path: Path, name: str, texts: "pd.Series[str]", first: str, problem: ValueError
) -> "pd.Series[Any]":
    """Texts that are not ISO 8601 as moments; day before month and month before day are both tried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the text can be read one way only
        spellings = {guess_datetime_format(first, dayfirst=dayfirst) for dayfirst in (False, True)} - {None}
    found = {}
    for spelling in sorted(str(known) for known in spellings):
        try:
            found[spelling] = pd.to_datetime(texts, utc=True, format=spelling)
        except ValueError as error:
            problem = error
    if not found:
        what = f"the time column {name} cannot be read ({first_line(problem)})"
        raise BadData(path, what, _FIX) from problem
    moments, *others = found.values()
    if any(not moments.equals(other) for other in others):
        what = f"the time column {name} can be read as {' and as '.join(found)}, which are different days"
        raise BadData(path, what, _FIX)
    return moments
