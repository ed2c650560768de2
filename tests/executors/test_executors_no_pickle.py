"""No pickle anywhere: not in the source, and the search for them would find one."""

from __future__ import annotations

import ast
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from pickles import pickle_in

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("panel", "store", "executors", "planner", "daemon", "migrations")
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    *("torch.load", "torch.save", "torch.jit.load", "torch.jit.save", "torch.package"),
    *("joblib.load", "joblib.dump", "pandas.read_pickle", "pd.read_pickle"),
}


def dotted(node: ast.expr) -> str:
    """The name of what is called, such as torch.load; of a call's result only its last part."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(text: str) -> list[str]:
    """Imports and calls that read or write pickles."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called.rpartition(".")[2] == "to_pickle" or called in FORBIDDEN_CALLS:
                found.append(called)
            asked = [word.value for word in node.keywords if word.arg == "allow_pickle"]
            if any(not isinstance(value, ast.Constant) or value.value for value in asked):
                found.append(f"{called} with pickles")  # which numpy refuses unless it is asked
    return found


def test_the_source_neither_reads_nor_writes_a_pickle() -> None:
    """Every module of every package; numpy is never asked to take one."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    assert {str(path): found for path in files if (found := offences(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import dump\nimport cloudpickle.cloudpickle",
        "import torch\ntorch.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "frame.to_pickle(path)",
    ],
)
def test_a_planted_offence_is_found(text: str) -> None:
    """A silent search means a clean tree."""
    assert offences(text)


def test_pickles_of_every_make_are_found() -> None:
    """Of each protocol, torch's archives, arrays of objects; plain files are none."""
    saved, arrays = io.BytesIO(), io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, saved)
    np.savez(arrays, a=np.array([{"a": 1}], dtype=object))
    pickled = [pickle.dumps({"a": [1.5, "b"]}, protocol=protocol) for protocol in range(6)]
    for content in (*pickled, saved.getvalue(), arrays.getvalue()):
        assert pickle_in(content)
    plain = io.BytesIO()
    np.savez(plain, a=np.zeros(3))
    for content in (b"", b"tree\nversion=v4\n", b'{"a": 1}', plain.getvalue(), np.zeros(9).tobytes()):
        assert pickle_in(content) is None
