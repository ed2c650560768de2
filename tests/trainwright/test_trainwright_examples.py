"""The examples run as they are written."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The program that makes the notebook."""
    spec = importlib.util.spec_from_file_location("make_notebook", EXAMPLES / "make_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(trained: Path, tmp_path: Path) -> None:
    """Where something was trained: it asks, draws, predicts, and trains a plan of its own."""
    place = tmp_path / "copied"
    shutil.copytree(trained, place)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "notebook.py")],
        cwd=place, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "1 done"
    assert (place / "curve.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_notebook_is_made_from_the_script(maker: ModuleType) -> None:
    """After a change of the script: python examples/make_notebook.py."""
    script = (EXAMPLES / "notebook.py").read_text(encoding="utf-8")
    assert (EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8") == maker.notebook_text(script)


def test_cells_of_a_notebook_are_those_of_its_script(maker: ModuleType) -> None:
    """Text loses its comment signs, code stays as it is."""
    made = json.loads(maker.notebook_text("# %% [markdown]\n# # Title\n#\n# words\n\n# %%\nx = 1\nx\n"))
    text, code = made["cells"]
    assert (text["cell_type"], text["source"]) == ("markdown", ["# Title\n", "\n", "words"])
    assert (code["cell_type"], code["source"]) == ("code", ["x = 1\n", "x"])
