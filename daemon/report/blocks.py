"""What a report is made of: sections of paragraphs, lists, tables and pictures, before they become HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell that is more than its text: what kind of word it is ("good", "bad", "soft", "code"), a hint."""

    text: str
    kind: str = ""
    href: str = ""


Value = str | int | float | Cell | Markup | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A paragraph; `kind` is "", "lead", "note" (small) or "wary" (set apart)."""

    text: str
    kind: str = ""
    form: str = field(default="words", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading within a section."""

    text: str
    key: str = ""
    form: str = field(default="heading", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Sentences one below the other."""

    items: Sequence[str]
    kind: str = ""
    form: str = field(default="listing", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headers; those headers in `right` stand over numbers.

    `left_out` says in words what is not in it, `wide` are headers whose cells hold sentences.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Value]]
    right: Sequence[str] = ()
    wide: Sequence[str] = ()
    left_out: str = ""
    form: str = field(default="table", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names with their values, one a line."""

    rows: Mapping[str, Value]
    form: str = field(default="facts", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Pictures with what they show in words."""

    pictures: Sequence[Markup]
    caption: str
    form: str = field(default="figure", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Text of machines that is shown on demand."""

    title: str
    text: str
    form: str = field(default="folded", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Figures that stand beside each other where there is room."""

    figures: Sequence[Figure]
    form: str = field(default="beside", init=False)


Block = Beside | Words | Heading | Listing | Table | Facts | Figure | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report; `source` says where its numbers come from."""

    key: str
    title: str
    blocks: Sequence[Block]
    source: str = ""


def rest(count: int, noun: str, where: str) -> str:
    """What a bounded list leaves out: how many more there are and where all of them stand; "" for none."""
    return f"{count:,} more {noun} not shown here: {where}" if count > 0 else ""
