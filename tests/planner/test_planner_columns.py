"""Columns from their bytes are what the library itself would have made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.columns import ARROW_TYPES, arrow_column

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.floats(allow_nan=False)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": NUMBERS,
    "boolean": st.booleans(),
    "list of string": st.lists(TEXTS, max_size=4),
    "list of number": st.lists(NUMBERS, max_size=4),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_a_column_equals_the_librarys_own(kind: str, data: st.DataObject) -> None:
    """Of every kind, with missing values anywhere, empty lists and texts, and of any length."""
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=20))
    made = arrow_column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, type=ARROW_TYPES[kind]))
    assert made.null_count == values.count(None)
    assert made.to_pylist() == values


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", 1.5), ("integer", True), ("boolean", 1), ("string", 3), ("number", "x"), ("integer", 2**63)],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: object) -> None:
    """Nothing is turned into something else in silence."""
    with pytest.raises(pa.ArrowException):
        arrow_column([None, value], kind)


def test_writing_tables_loads_no_pandas(tmp_path: Path) -> None:
    """A planning that the cache answers pays for no library that it does not use."""
    script = (
        "import sys; from pathlib import Path; from planner.artifacts import write_table\n"
        f"print(write_table(Path({str(tmp_path)!r}), 'leakage', []).name, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["leakage.parquet", "False"]
