"""Rows that show themselves: as text, as escaped HTML in a notebook, and as a pandas table when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from markupsafe import Markup, escape

from daemon.views.words import counted, legible, moment

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 60  # rows of a table on a screen
TEXT_WIDTH, HTML_WIDTH = 48, 300  # signs of a cell on a screen, in a notebook
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """A column: its name, how its value comes from a row, and how a screen shows it.

    `words` None shows the value itself. One that is not `shown` is in tables of pandas only.
    """

    name: str
    value: Callable[[Row], object]
    words: Callable[[Row], str] | None = None
    shown: bool = True
    right: bool = False

    def cell(self, row: Row) -> str:
        """The text of a cell on a screen."""
        return self.words(row) if self.words is not None else plain(self.value(row))


@dataclass(frozen=True, slots=True, repr=False)
class Table(Sequence[Row]):
    """Rows in an order, with what they are called: a sequence that shows itself.

    Attributes:
        rows: the rows themselves.
        columns: what of them is told.
        noun: what a row is, "fit".
    """

    rows: tuple[Row, ...]
    columns: tuple[Column[Row], ...]
    noun: str = "row"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Table[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Table[Row]:
        if isinstance(place, slice):
            return Table(self.rows[place], self.columns, self.noun)
        return self.rows[place]

    def records(self) -> list[dict[str, object]]:
        """Every row as a mapping from column to value."""
        return [{column.name: column.value(row) for column in self.columns} for row in self.rows]

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame, one row for each; times are aware, in UTC."""
        import pandas as pd  # noqa: PLC0415 (half a second that only who asks pays)

        return pd.DataFrame(self.records(), columns=[column.name for column in self.columns])

    def __repr__(self) -> str:
        shown = [column for column in self.columns if column.shown]
        cells = [[clipped(column.cell(row)) for column in shown] for row in self.rows[:SHOWN]]
        lines = text_lines([column.name for column in shown], cells, [column.right for column in shown])
        return "\n".join([*(lines if self.rows else ()), self._count()])

    def _repr_html_(self) -> str:
        """What a notebook shows; every cell is escaped."""
        shown = [column for column in self.columns if column.shown]
        cells = [[clipped(column.cell(row), HTML_WIDTH) for column in shown] for row in self.rows[:SHOWN]]
        return str(html_table([column.name for column in shown], cells) + escape(self._count()))

    def _count(self) -> str:
        count = counted(len(self.rows), self.noun)
        more = f", the first {SHOWN} shown" if len(self.rows) > SHOWN else ""
        return f"{count}{more}"


def plain(value: object) -> str:
    """A value in few words: a dash for none, a moment to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return moment(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def clipped(text: str, width: int = TEXT_WIDTH) -> str:
    """One line of a text, its control signs made visible, its end left out where it is long."""
    line = legible(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 3]}..."


def text_lines(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """A header and rows with their columns below each other."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (heads, *rows)
    ]


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table for a notebook; every head and cell is escaped."""
    head = Markup("").join(Markup('<th align="left">{}</th>').format(legible(name)) for name in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup('<td align="left">{}</td>').format(cell) for cell in row)
        )
        for row in rows
    )
    return Markup('<table class="dataframe"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        head, body
    )


def facts_html(title: str, facts: Sequence[tuple[str, str]], *pictures: Markup) -> str:
    """A title, facts with their names, and pictures: what a notebook shows of one thing."""
    rows = Markup("").join(
        Markup('<tr><th align="left">{}</th><td align="left">{}</td></tr>').format(
            legible(name), legible(words)
        )
        for name, words in facts
    )
    shown = Markup("<div><b>{}</b><table>{}</table>").format(legible(title), rows)
    return str(shown + Markup("").join(pictures) + Markup("</div>"))


def facts_text(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """The same as text."""
    width = max((len(name) for name, _ in facts), default=0)
    return "\n".join([legible(title), *(f"  {name.ljust(width)}  {legible(words)}" for name, words in facts)])
