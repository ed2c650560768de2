"""File names made from data."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panel.names import safe_file_name

SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,88}")


@pytest.mark.parametrize("name", ["AAPL", "y_will_swing_low_10m_0.20", "BRK.B", "a-b"])
def test_a_harmless_name_stays_as_it_is(name: str) -> None:
    """Ordinary targets and symbols keep their names."""
    assert safe_file_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0b", "é", ".x", "-rf", "A B"]
)
def test_a_dangerous_name_becomes_a_slug_with_digits(name: str) -> None:
    """No separator, dot directory or option ever comes out, and the name stays recognisable by digits."""
    made = safe_file_name(name)
    assert SAFE.fullmatch(made)
    assert re.search(r"-[0-9a-f]{8}$", made)


def test_a_name_that_equals_anothers_slug_does_not_collide() -> None:
    """Calling a target what another target's file is called gives a third file."""
    made = safe_file_name("a/b")
    assert safe_file_name(made) != made


@given(st.lists(st.text(max_size=120), min_size=2, max_size=8, unique=True))
def test_different_names_get_different_safe_files(names: list[str]) -> None:
    """Whatever the text, the file name is safe and belongs to it alone."""
    made = [safe_file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(SAFE.fullmatch(name) for name in made)
