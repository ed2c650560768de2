"""What a person sees: aligned tables, plain words where a terminal cannot draw, errors of at most six lines.

Machine output goes to stdout; progress, messages and errors go to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO
from unicodedata import combining, east_asian_width

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
    **dict(zip("▁▂▃▄▅▆▇", "_.,-=+*", strict=True)),  # heights of a curve, the lowest first; █ is the highest
    "█": "#",
    "░": "-",
}
Tone = Literal["bad", "good", "busy", "wait", "faint", "strong"]
# Signs that no text has (Unicode's noncharacters) stand for colours until a line is printed, so that foreign
# text cannot bring colours of its own; printing turns them into escapes or leaves them out.
_TONES: dict[Tone, tuple[str, str]] = {
    "bad": ("\ufdd0", "\x1b[31m"),
    "good": ("\ufdd1", "\x1b[32m"),
    "busy": ("\ufdd2", "\x1b[36m"),
    "wait": ("\ufdd3", "\x1b[33m"),
    "faint": ("\ufdd4", "\x1b[2m"),
    "strong": ("\ufdd5", "\x1b[1m"),
}
_END = ("\ufdd6", "\x1b[0m")
_SIGNS = dict([*_TONES.values(), _END])
STATE_TONES: dict[str, Tone] = {
    "succeeded": "good", "failed": "bad", "running": "busy", "claimed": "busy", "cancelled": "faint",
    "unavailable": "faint", "ready": "wait",
}  # fmt: skip
COLOURS = ("auto", "always", "never")
_wanted = {"colour": "auto"}  # what --color said
ERROR_LINES_MAX = 6
WIDTH = 100  # columns of a screen that everything fits
SHRUNK_MIN = 8


def use_colour(when: str) -> None:
    """Take what ``--color`` said, for all that is printed from now on."""
    _wanted["colour"] = when


def is_coloured(stream: TextIO) -> bool:
    """Whether colours are printed there: as ``--color`` says, else no-color.org, else force-color.org.

    Where none of them says anything a terminal gets colours and a file does not.
    """
    if _wanted["colour"] != "auto":
        return _wanted["colour"] == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR", "")
    if forced:
        return forced != "0"
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, tone: Tone | None) -> str:
    """The text in a colour that means something; it is told by words as well, never by the colour alone."""
    return f"{_TONES[tone][0]}{text}{_END[0]}" if tone and text else text


def speakable(text: str, stream: TextIO) -> str:
    """The text as the stream can carry it; control characters of foreign text are shown, not obeyed."""
    return _carried(legible(text), stream)


def legible(text: str) -> str:
    """The text with its control characters shown; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def _carried(text: str, stream: TextIO) -> str:
    if (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") == "utf8":
        return text
    for sign, words in PLAIN.items():
        text = text.replace(sign, words)
    return text.encode("ascii", "backslashreplace").decode("ascii")


def line_for(text: str, stream: TextIO) -> str:
    """Lines as the stream can carry them, their tones as colours or left out."""
    if text.isprintable():
        return _carried(text, stream)
    coloured = is_coloured(stream)
    lines = (line if line.isprintable() else _toned(line, coloured=coloured) for line in text.split("\n"))
    return _carried("\n".join(lines), stream)


def _toned(line: str, *, coloured: bool) -> str:
    """One line with its tones as colours or left out; no colour goes on behind its end."""
    last, pieces = _END[1], []
    for char in line:
        escape = _SIGNS.get(char)
        if escape is None:
            pieces.append(char if char.isprintable() or char == "\t" else repr(char)[1:-1])
        elif coloured:
            pieces.append(last := escape)
    return "".join(pieces) + ("" if last == _END[1] else _END[1])


def say(text: str = "") -> None:
    """Print one line of the answer to stdout."""
    click.echo(line_for(text, sys.stdout), color=True)


def tell(text: str) -> None:
    """Print one line of progress or a message to stderr."""
    click.echo(line_for(text, sys.stderr), err=True, color=True)


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
    tones: Mapping[str, Mapping[str, Tone]] | None = None,
) -> str:
    """Columns aligned under their headers; those named in ``right`` are set flush right.

    The column named in ``shrink`` gives way where the table would be wider than WIDTH; what is cut ends in ….
    `tones` gives cells of a column a colour by what they say.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([columns(header), *(columns(row[place]) for row in cells)])
        for place, header in enumerate(headers)
    ]
    if shrink is not None:
        place = list(headers).index(shrink)
        room = WIDTH - sum(widths) - 2 * (len(widths) - 1) + widths[place]
        widths[place] = min(widths[place], max(room, SHRUNK_MIN))
        for row in cells:
            row[place] = cut(row[place], widths[place])
    flush = {place for place, header in enumerate(headers) if header in set(right)}
    painted = {place: (tones or {}).get(header, {}) for place, header in enumerate(headers)}
    lines = [_aligned(headers, widths, flush, {})]
    lines.extend(_aligned(row, widths, flush, painted) for row in cells)
    return "\n".join(lines)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: two for a wide letter, none for a mark above another."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """The text, its end left out where it takes more than ``width`` columns."""
    if columns(text) <= width:
        return text
    end = speakable("…", sys.stdout)
    while text and columns(text) > width - len(end):
        text = text[:-1]
    return text + end


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


def _aligned(
    row: Sequence[str], widths: Sequence[int], flush: set[int], painted: Mapping[int, Mapping[str, Tone]]
) -> str:
    parts = []
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        room = " " * (width - columns(cell))
        shown = paint(cell, painted.get(place, {}).get(cell))
        last = place == len(row) - 1
        parts.append(room + shown if place in flush else shown if last else shown + room)
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
