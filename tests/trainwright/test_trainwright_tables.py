"""Tables that show themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import pytest
from cli_samples import TRAINED

import trainwright as tw
from store import PlanRow, PlanStore
from trainwright.fits import FITS, Fit
from trainwright.tables import SHOWN, Column, Table

HOSTILE = "<script>alert('x')</script> & \x1b[2J \u202e"
COLUMNS: tuple[Column[int], ...] = (
    Column(name="number", value=lambda row: row, right=True),
    Column(name="<b>", value=lambda row: HOSTILE),
    Column(name="hidden", value=lambda row: datetime(2026, 1, 2, tzinfo=UTC), shown=False),
)


def numbers(count: int) -> Table[int]:
    """A table of numbers."""
    return Table(tuple(range(count)), COLUMNS, "number")


def test_a_table_is_a_sequence() -> None:
    """Its slices are tables again."""
    table = numbers(5)
    assert isinstance(table, Sequence)
    assert (len(table), list(table), table[-1]) == (5, [0, 1, 2, 3, 4], 4)
    assert isinstance(table[1:3], Table)
    assert list(table[1:3]) == [1, 2]


def test_foreign_words_are_escaped_in_a_notebook_and_shown_on_a_screen() -> None:
    """No markup and no control sign of a plan's author reaches the reader's browser or terminal."""
    html, text = numbers(1)._repr_html_(), repr(numbers(1))
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    for shown in (html, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_a_long_table_is_cut_on_a_screen_and_whole_in_pandas() -> None:
    """It says how many there are."""
    table = numbers(1234)
    assert len(repr(table).splitlines()) == SHOWN + 2
    assert repr(table).endswith(f"1,234 numbers, the first {SHOWN} shown")
    assert table._repr_html_().count("<tr>") == SHOWN + 1
    assert len(table.to_pandas()) == 1234


def test_an_empty_table_has_its_columns_in_pandas() -> None:
    """So that what is done with it works for none as for many."""
    assert list(numbers(0).to_pandas().columns) == ["number", "<b>", "hidden"]
    assert repr(numbers(0)) == "0 numbers"
    assert repr(numbers(1)).endswith("1 number")


def test_times_are_aware_in_pandas() -> None:
    """In UTC, to be compared with others."""
    assert isinstance(numbers(1).to_pandas()["hidden"].dtype, pd.DatetimeTZDtype)


def test_a_hostile_fit_is_escaped_everywhere(filled: PlanStore) -> None:
    """Its sentence, its target and its cause are somebody else's words."""
    row = dataclasses.replace(
        filled.reading.fit(TRAINED), target=HOSTILE, sentence=HOSTILE, job_id=HOSTILE, state="failed"
    )
    fit = Fit(filled.reading, row)
    for html in (
        Table((fit,), FITS, "fit")._repr_html_(),
        tw.Plan(filled.reading, _named(filled))._repr_html_(),
    ):
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def _named(store: PlanStore) -> PlanRow:
    return dataclasses.replace(store.reading.plans()[0], name=HOSTILE)


@pytest.mark.parametrize("name", tw.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    """It loads when it is asked for."""
    assert getattr(tw, name).__name__ == name
    assert name in dir(tw)


def test_another_name_is_no_name_of_the_face() -> None:
    """An error like any module's."""
    with pytest.raises(AttributeError, match="trainwright"):
        _ = tw.opened
