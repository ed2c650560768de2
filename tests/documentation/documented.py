"""What the pages tell people to type, block by block, and the directions for whoever tries it.

A block of ``sh``, ``python`` or ``toml`` is tried as it stands, in the order of the page, in one folder for
the whole page. Directions are comments in the Markdown, which readers do not see:

- ``<!-- folder: empty|demo|host -->``: where the page begins: nothing there, the finished demonstration, or
  that with a daemon at work beside it. Without it the page must have no block that is tried.
- ``<!-- held by: tests/x.py::test_y -->`` before a block: it needs a machine that is not here (systemd,
  root), and that test does what it says.
- ``<!-- exit: 3 -->`` before a block: it ends with this code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRIED = ("sh", "python", "toml")
SHOWN = ("text", "mermaid", "json", "html")  # what a screen or a file looks like: nobody types it
FOLDERS = ("empty", "demo", "host")
_DIRECTION = re.compile(r"^<!-- (folder|held by|exit): (\S+) -->$")
_FENCE = re.compile(r"^```(\w*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: its language, its text, the line it begins on, and what was directed for it."""

    language: str
    text: str
    line: int
    directed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the documentation."""

    path: Path
    folder: str | None
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """Its place in the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def tried(self) -> tuple[Block, ...]:
        """The blocks that are tried here."""
        return tuple(
            block for block in self.blocks if block.language in TRIED and "held by" not in block.directed
        )


def pages() -> list[Page]:
    """Return every page that people read to learn what to type."""
    written = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [read(path) for path in written]


def read(path: Path) -> Page:
    """Return a page with its blocks; raises ValueError for a block that never ends."""
    folder: str | None = None
    blocks: list[Block] = []
    directed: dict[str, str] = {}
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if found := _DIRECTION.match(line.strip()):
            if found[1] == "folder":
                folder = found[2]
            else:
                directed[found[1]] = found[2]
        elif fence := _FENCE.match(line.strip()):
            text = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                text.append(inner)
            else:
                message = f"{path}:{number}: a block that never ends"
                raise ValueError(message)
            blocks.append(Block(language=fence[1], text="\n".join(text), line=number, directed=directed))
            directed = {}
    return Page(path=path, folder=folder, blocks=tuple(blocks))
