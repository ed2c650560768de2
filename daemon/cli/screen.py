"""What a person sees: aligned tables, plain words where a terminal cannot draw, errors of at most six lines.

Machine output goes to stdout; progress, messages and errors go to stderr.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

from daemon.views.documents import document_text, plain

PLAIN = {
    "±": "+/-",
    "→": "->",
    "…": "...",
    "·": "-",
    "−": "-",
    "≥": ">=",
    "≤": "<=",
    "×": "x",
    "σ": "sigma",
    "█": "#",
    "░": "-",
}
ERROR_LINES_MAX = 6
WIDTH = 100  # columns of a screen that everything fits
SHRUNK_MIN = 8


def speakable(text: str, stream: TextIO) -> str:
    """The text as the stream can carry it; control characters of foreign text are shown, not obeyed."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)
    if (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") == "utf8":
        return clean
    for sign, words in PLAIN.items():
        clean = clean.replace(sign, words)
    return clean.encode("ascii", "backslashreplace").decode("ascii")


def say(text: str = "") -> None:
    """Print one line of the answer to stdout."""
    click.echo(speakable(text, sys.stdout))


def tell(text: str) -> None:
    """Print one line of progress or a message to stderr."""
    click.echo(speakable(text, sys.stderr), err=True)


def emit(document: Mapping[str, Any]) -> None:
    """Print a versioned JSON document to stdout."""
    click.echo(document_text(document))


def emit_line(document: Mapping[str, Any]) -> None:
    """Print one line of an NDJSON stream to stdout."""
    click.echo(json.dumps(document, ensure_ascii=True, default=plain))


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    shrink: str | None = None,
) -> str:
    """Columns aligned under their headers; those named in ``right`` are set flush right.

    The column named in ``shrink`` gives way where the table would be wider than WIDTH; what is cut ends in ….
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(header), *(len(row[place]) for row in cells)]) for place, header in enumerate(headers)]
    if shrink is not None:
        place = list(headers).index(shrink)
        room = WIDTH - sum(widths) - 2 * (len(widths) - 1) + widths[place]
        widths[place] = min(widths[place], max(room, SHRUNK_MIN))
        for row in cells:
            row[place] = cut(row[place], widths[place])
    flush = {place for place, header in enumerate(headers) if header in set(right)}
    lines = [_aligned(headers, widths, flush)]
    lines.extend(_aligned(row, widths, flush) for row in cells)
    return "\n".join(lines)


def cut(text: str, width: int) -> str:
    """The text, its end left out where it is longer than ``width``."""
    if len(text) <= width:
        return text
    end = speakable("…", sys.stdout)
    return text[: width - len(end)] + end


def wrapped(label: str, text: str, *, indent: int = 10) -> str:
    """A label and a text beside it in lines of at most WIDTH columns, all but the first indented."""
    lines = textwrap.wrap(
        speakable(text, sys.stdout).replace("\n", " "),
        width=WIDTH,
        initial_indent=f"{label:<{indent}}" if len(label) < indent else f"{label} ",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or label


def _aligned(row: Sequence[str], widths: Sequence[int], flush: set[int]) -> str:
    parts = [
        cell.rjust(width) if place in flush else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return speakable(str(value), sys.stdout).replace("\n", " ")  # now, so that columns stay aligned


def bar(done: int, total: int, *, width: int = 30) -> str:
    """A progress bar of fixed width, such as ``[######----]``."""
    filled = width if total == 0 else round(width * done / total)
    return "[" + "#" * filled + "-" * (width - filled) + "]"


def error_text(sentence: str, details: Mapping[str, str | None]) -> str:
    """An error as at most six lines: the sentence, then the named details that are not empty."""
    lines = f"error: {sentence}".splitlines()
    for name, value in details.items():
        lines.extend(f"  {name:<5} {value}".splitlines() if value else ())
    cut = len(lines) - ERROR_LINES_MAX
    if cut > 0:
        lines[ERROR_LINES_MAX - 1 :] = [f"  ... and {cut + 1} more lines"]
    return "\n".join(lines)
