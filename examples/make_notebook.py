"""Makes notebook.ipynb of notebook.py: ``python examples/make_notebook.py``. Cells begin at ``# %%``."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT, NOTEBOOK = HERE / "notebook.py", HERE / "notebook.ipynb"


def notebook_text(script: str) -> str:
    """Return the notebook of a script in cells, without outputs; the same script gives the same text."""
    parts = re.split(r"^# %%(.*)\n", script, flags=re.MULTILINE)[1:]
    cells = [
        _cell(place, kind.strip() == "[markdown]", text.strip())
        for place, (kind, text) in enumerate(zip(parts[::2], parts[1::2], strict=True))
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return f"{json.dumps(document, indent=1)}\n"


def _cell(place: int, is_text: bool, text: str) -> dict[str, object]:
    lines = [line.removeprefix("#").removeprefix(" ") if is_text else line for line in text.splitlines()]
    source = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    cell = {"id": f"cell-{place}", "metadata": {}, "source": source}
    if is_text:
        return {"cell_type": "markdown", **cell}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **cell}


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook_text(SCRIPT.read_text(encoding="utf-8")), encoding="utf-8")
