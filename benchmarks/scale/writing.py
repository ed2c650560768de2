"""Tables go between the marks that a page has for them."""

from __future__ import annotations

from pathlib import Path


def write_between(path: Path, text: str, *, begin: str, end: str) -> None:
    """Put a text between two marks of a page; raises ValueError where it has none."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(begin)
    if not mark or end not in rest:
        raise ValueError(f"{path} has no place for this: {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
