"""The table of test predictions, in parquet and in its CSV stand-in."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from executors.predictions import CSV, PARQUET, Predictions, from_files, to_file


def table(classes: int = 0) -> Predictions:
    """Return three rows with values that only exact writing preserves."""
    values = np.array([0.1, -1e-30, 3.4e38], dtype=np.float32)
    return Predictions(
        symbol=("BRK.B", "A,B", "Ü"),
        time=np.array([1, 1_600_000_000_000_000_001, 2**62], dtype=np.int64),
        label=values,
        prediction=values[::-1].copy(),
        probabilities=np.linspace(0, 1, 3 * classes, dtype=np.float32).reshape(3, classes),
    )


def assert_same(read: Predictions, written: Predictions) -> None:
    """Every bit of every column is the same."""
    assert read.symbol == written.symbol
    for name in ("time", "label", "prediction", "probabilities"):
        assert getattr(read, name).tobytes() == getattr(written, name).tobytes(), name


@pytest.mark.parametrize("classes", [0, 3, 11])
def test_a_table_comes_back_from_parquet_bit_for_bit(classes: int) -> None:
    """Symbols of any spelling, nanoseconds and float32 values survive; class columns keep their order."""
    name, content = to_file(table(classes))
    assert name == PARQUET
    read = from_files({name: content})
    assert_same(read, table(classes))
    assert to_file(table(classes)) == (name, content)


@pytest.mark.parametrize("classes", [0, 3])
def test_where_parquet_cannot_be_written_csv_is_and_the_warning_is_loud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], classes: int
) -> None:
    """The reader takes either form, and no bit is lost."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    name, content = to_file(table(classes))
    assert name == CSV
    assert "WARNING: parquet cannot be written" in capsys.readouterr().err
    assert_same(from_files({name: content}), table(classes))
