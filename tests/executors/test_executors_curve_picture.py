"""The learning curve as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from executors.curve_picture import curve_picture

CURVE = {"train_loss": [1.0, 0.8, 0.7, 0.65], "valid_loss": [1.1, 0.9, 0.85, 0.88]}
NAMES = {"svg": "http://www.w3.org/2000/svg"}


def parsed(document: str) -> ET.Element:
    """The root of the picture."""
    return ET.fromstring(document)  # noqa: S314 -- we wrote it


def test_a_curve_is_drawn_with_the_kept_step_marked() -> None:
    """Two lines of four points and one mark, the same bytes each time."""
    drawn = curve_picture(CURVE, best_step=3)
    root = parsed(drawn)
    lines = root.findall("svg:polyline", NAMES)
    assert [len((line.get("points") or "").split()) for line in lines] == [4, 4]
    assert len(root.findall("svg:line", NAMES)) == 1
    assert drawn == curve_picture(CURVE, best_step=3)


def test_a_long_curve_stays_a_small_file() -> None:
    """A hundred thousand rounds are drawn by a few hundred points, the last one among them."""
    long = [1.0 / (1 + step) for step in range(100_000)]
    drawn = curve_picture({"valid_loss": long}, best_step=0)
    assert len(drawn) < 8_000
    assert "<line " not in drawn


@pytest.mark.parametrize("curve", [{}, {"train_loss": [], "valid_loss": []}, {"train_loss": [0.5]}])
def test_no_curve_no_picture(curve: dict[str, list[float]]) -> None:
    """One point is no curve."""
    assert curve_picture(curve, best_step=1) == ""


def test_a_flat_curve_and_one_with_gaps_are_drawn() -> None:
    """Neither a spread of nothing nor a loss that is no number breaks the picture."""
    parsed(curve_picture({"train_loss": [0.5, 0.5, 0.5]}, best_step=1))
    root = parsed(curve_picture({"train_loss": [0.5, float("nan"), 0.4]}, best_step=3))
    assert len((root.find("svg:polyline", NAMES).get("points") or "").split()) == 2  # type: ignore[union-attr]


def test_losses_are_not_mixed_with_curves_of_another_unit() -> None:
    """Where there are losses, only losses are drawn: a Sharpe ratio has another scale."""
    root = parsed(curve_picture({**CURVE, "valid_sharpe": [50.0, 60.0]}, best_step=1))
    assert len(root.findall("svg:polyline", NAMES)) == 2
