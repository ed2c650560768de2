"""On which line of a TOML file each key is set, found with the TOML parser itself.

A statement ends at the first line up to which its text parses: an open string or list does not parse before
it is closed. So no line inside a longer string is ever taken for a key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

KeyPath = tuple[str, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each key of a valid TOML text is set.

    A table's own path has the line of its header. Keys of an inline table have the line of its statement.
    """
    lines = text.splitlines()
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    place = 0
    while place < len(lines):
        length, statement = _statement(lines, place)
        paths = list(_paths(statement))
        if lines[place].lstrip().startswith("["):
            table = max(paths, key=len, default=())
            for depth in range(1, len(table) + 1):
                found.setdefault(table[:depth], place + 1)
        else:
            found |= {(*table, *path): place + 1 for path in paths}
        place += length
    return found


def _statement(lines: list[str], place: int) -> tuple[int, Mapping[str, object]]:
    """How many lines the statement at `place` has, and what it says; the whole rest where none parses."""
    for end in range(place + 1, len(lines) + 1):
        try:
            return end - place, tomllib.loads("\n".join(lines[place:end]))
        except tomllib.TOMLDecodeError:
            continue
    return len(lines) - place, {}


def _paths(value: object) -> Iterator[KeyPath]:
    """Every key path of a parsed value, outer keys first."""
    if isinstance(value, list):  # an array of tables: its last one is the one that goes on
        value = value[-1] if value else {}
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        yield (str(key),)
        yield from ((str(key), *path) for path in _paths(inner))
