"""The face of the package: everything named is there, and nothing heavy is loaded for it."""

import subprocess
import sys
from importlib import import_module

import pytest

from panel.errors import PanelError, listed, nearest

face = import_module("panel")


def test_every_public_name_is_there() -> None:
    """__all__ is sorted, complete and true."""
    assert sorted(face.__all__) == face.__all__ == dir(face)
    assert set(face.__all__) == set(face._HOME)
    for name in face.__all__:
        assert getattr(face, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing


def test_importing_the_package_loads_nothing() -> None:
    """Not even numpy."""
    script = (
        "import sys, panel; print(sorted({'numpy', 'pandas', 'pyarrow', 'panel.aligned'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


def test_every_error_is_a_panel_error() -> None:
    """One except clause is enough for callers."""
    named = [getattr(face, name) for name in face.__all__]
    errors = [thing for thing in named if isinstance(thing, type) and issubclass(thing, Exception)]
    assert len(errors) >= 9
    assert all(issubclass(error, PanelError) for error in errors)


def test_messages_name_what_is_near_and_do_not_flood() -> None:
    """The nearest of the known names, and never a hundred of them."""
    assert nearest("appl", ["AAPL", "MSFT"]) == "AAPL"
    assert nearest("msft", ["AAPL", "MSFT"]) == "MSFT"
    assert nearest("zzz", ["AAPL"]) is None
    assert listed([str(n) for n in range(10)], 3) == "0, 1, 2 and 7 more"
