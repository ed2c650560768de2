"""What a screen makes of a learning curve."""

from __future__ import annotations

import pytest

from daemon.cli.model_showing import sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([3.0, 2.0, 1.0], "█▄▁"),
        ([1.0, 1.0], "▁▁"),
        ([1.0], ""),
        ([], ""),
        ([2.0, float("nan"), 1.0], "█▁"),
    ],
)
def test_a_curve_is_a_line_of_bars(values: list[float], line: str) -> None:
    """The highest loss the highest bar; what is no number is left out."""
    assert sparkline(values) == line


def test_a_long_curve_fits_a_line() -> None:
    """Sixty bars from the first to the last value."""
    line = sparkline([float(step) for step in range(1000)])
    assert (len(line), line[0], line[-1]) == (60, "▁", "█")
