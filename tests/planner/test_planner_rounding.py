"""Six significant digits, one number at a time or many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from planner.rounding import rounded, rounded_all


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        (0.1234564, 0.123456),
        (-123456.7, -123457.0),
        (1234567.0, 1234570.0),
        (1e-12, 1e-12),
        (math.nan, 0.0),
        (-math.inf, 0.0),
        (0.0, 0.0),
        (1 / 3, 0.333333),
    ],
)
def test_six_digits_are_kept(value: float, cut: float) -> None:
    """The same alone and among many; what is not finite is 0."""
    assert rounded(value) == cut
    assert rounded_all(np.array([value, 0.5])) == [cut, 0.5]


@given(some.lists(some.floats(-1e15, 1e15), max_size=20))
def test_many_are_rounded_as_one_by_one(values: list[float]) -> None:
    """But for halves, which may go either way by one in the sixth digit; a second time changes nothing."""
    many = rounded_all(np.array(values, dtype=np.float64))
    for cut, value in zip(many, values, strict=True):
        assert cut == pytest.approx(rounded(value), rel=1.01e-5, abs=1e-280)
        assert rounded_all(np.array([cut])) == pytest.approx([cut], rel=1e-15)
