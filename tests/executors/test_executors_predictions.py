"""The table of test predictions, in parquet and in its CSV stand-in."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from executors.predictions import CSV, PARQUET, Predictions, from_files, to_file

LEVELS = (0.005, 0.05, 0.5, 0.95)


def table(classes: int = 0, levels: tuple[float, ...] = ()) -> Predictions:
    """Return three rows with values that only exact writing preserves."""
    values = np.array([0.1, -1e-30, 3.4e38], dtype=np.float32)
    return Predictions(
        symbol=("BRK.B", "A,B", "Ü"),
        time=np.array([1, 1_600_000_000_000_000_001, 2**62], dtype=np.int64),
        label=values,
        prediction=values[::-1].copy(),
        probabilities=np.linspace(0, 1, 3 * classes, dtype=np.float32).reshape(3, classes),
        levels=levels,
        quantiles=np.linspace(-1, 1, 3 * len(levels), dtype=np.float32).reshape(3, len(levels)),
    )


def assert_same(read: Predictions, written: Predictions) -> None:
    """Every bit of every column is the same."""
    assert read.symbol == written.symbol
    assert read.levels == written.levels
    for name in ("time", "label", "prediction", "probabilities", "quantiles"):
        assert getattr(read, name).shape == getattr(written, name).shape, name
        assert getattr(read, name).tobytes() == getattr(written, name).tobytes(), name


@pytest.mark.parametrize(("classes", "levels"), [(0, ()), (3, ()), (11, ()), (0, LEVELS)])
def test_a_table_comes_back_from_parquet_bit_for_bit(classes: int, levels: tuple[float, ...]) -> None:
    """Symbols of any spelling, nanoseconds and float32 values survive; class and quantile columns too."""
    name, content = to_file(table(classes, levels))
    assert name == PARQUET
    read = from_files({name: content})
    assert_same(read, table(classes, levels))
    assert to_file(table(classes, levels)) == (name, content)


def test_other_programs_find_the_quantiles_by_their_level() -> None:
    """The parquet file has one column a level, named after it."""
    _, content = to_file(table(0, LEVELS))
    names = pq.read_schema(pa.BufferReader(content)).names
    assert names[4:] == ["quantile_0.005", "quantile_0.05", "quantile_0.5", "quantile_0.95"]


@pytest.mark.parametrize(("classes", "levels"), [(0, ()), (3, ()), (0, LEVELS)])
def test_where_parquet_cannot_be_written_csv_is_and_the_warning_is_loud(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    classes: int,
    levels: tuple[float, ...],
) -> None:
    """The reader takes either form, and no bit is lost."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    name, content = to_file(table(classes, levels))
    assert name == CSV
    assert "WARNING: parquet cannot be written" in capsys.readouterr().err
    assert_same(from_files({name: content}), table(classes, levels))
