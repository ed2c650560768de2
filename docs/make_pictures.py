"""Run the demonstration and draw its screen as docs/pictures/demo.svg: ``python docs/make_pictures.py``.

The picture is made from a real run. Long lines are cut and the middle of long tables is left out, marked so.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
COLUMNS = 132
TABLE_LINES_MAX = 14
STYLES = (
    (r"\bkeep\b|better than naive", "green"),
    (r"\bdrop\b|no skill$", "yellow"),
    (r"\bBLOCKED\b", "bold red"),
    (r"planted_\w+|y_planted_\w+", "bold magenta"),
    (r"GPU families run on the CPU here.*", "cyan"),
)


def screen_of_demo(folder: Path) -> list[str]:
    """The lines a person sees, in their order."""
    program = Path(sys.executable).with_name("trainwright")
    done = subprocess.run(
        [str(program), "demo", "--dir", str(folder / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout.replace(f"{folder}/", "").splitlines()


def shortened(lines: list[str]) -> list[str]:
    """The lines with the middle of every long block left out, and cut to the width of the picture."""
    result: list[str] = []
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
            continue
        rest = len(block) - TABLE_LINES_MAX
        if rest > 1:
            block = [*block[: TABLE_LINES_MAX - 3], f"  … {rest} lines more …", *block[-3:]]
        result += [*block, ""]
        block = []
    return [line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…" for line in result]


def draw(lines: list[str], path: Path) -> None:
    """Write the lines as a picture of a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        text = Text(line)
        for pattern, style in STYLES:
            for found in re.finditer(pattern, line):
                text.stylize(style, *found.span())
        console.print(text, no_wrap=True)
    console.save_svg(str(path), title="$ make demo")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw(shortened(screen_of_demo(Path(scratch))), HERE / "pictures" / "demo.svg")
