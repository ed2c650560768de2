"""The style that all pictures share: contrast, day and night, alone in a file."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from daemon.pictures import curve, sparkline, standalone, style_text
from daemon.pictures.drawing import Scale, scale_over

CARRYING = ("--pic-ink", "--pic-soft", "--pic-1", "--pic-2", "--pic-3", "--pic-4", "--pic-bad", "--pic-idle")
TEXT = ("--pic-ink", "--pic-soft")
UNDER_TEXT = ("--pic-mild", "--pic-flow-1", "--pic-flow-2", "--pic-flow-3", "--pic-flow-4", "--pic-bad-soft")
ON_A_PAGE = {"light": "#f5f6f8", "dark": "#0f1318"}  # what is behind a picture that has no paper


def palette(scheme: str) -> dict[str, str]:
    """The colours of a scheme by their names."""
    light, dark = re.findall(r"\.pic \{([^}]*)\}", style_text())[:2]
    pairs = re.findall(r"(--pic-[\w-]+): (#[0-9a-f]{6})", dark if scheme == "dark" else light)
    return dict(pairs)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_carries_something_can_be_seen(scheme: str) -> None:
    """Lines and marks have 3:1 against the paper and the page, letters 4.5:1, by day and at night."""
    colours = palette(scheme)
    for ground in (colours["--pic-paper"], ON_A_PAGE[scheme]):
        assert all(contrast(colours[name], ground) >= 3 for name in CARRYING)
        assert all(contrast(colours[name], ground) >= 4.5 for name in TEXT)
    assert all(contrast(colours["--pic-ink"], colours[name]) >= 4.5 for name in UNDER_TEXT)


def test_both_schemes_name_the_same_colours() -> None:
    """No colour of the day is left standing at night."""
    assert palette("light").keys() == palette("dark").keys()


def test_a_picture_alone_brings_its_style_and_paper() -> None:
    """In a file or a notebook a picture looks as it does on the page, on its own ground."""
    svg = standalone(curve([1, 2], {"loss": [2.0, 1.0]}))
    root = ET.fromstring(str(svg))  # noqa: S314 - made here
    space = "{http://www.w3.org/2000/svg}"
    assert [child.tag for child in root][:2] == [f"{space}style", f"{space}rect"]
    assert root[0].text == style_text()
    assert standalone(sparkline([])) == ""


def test_every_class_of_a_picture_is_in_the_style() -> None:
    """What a picture calls a line, the style knows."""
    named = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"\{[^}]*\}", "", style_text())))
    svg = curve([1, 2, 3], {"train_loss": [2.0, 1.5, 1.0], "valid_loss": [2.0, 1.6, 1.2]}, best_step=2)
    used = {name for said in re.findall(r'class="([^"]*)"', svg) for name in said.split()}
    assert used - {"curve"} <= named


def test_the_same_values_give_the_same_bytes() -> None:
    """A report made twice is one report."""
    values = {"train_loss": [0.3, 0.2, 0.1], "valid_loss": [0.4, 0.3, 0.35]}
    assert curve([1, 2, 3], values, best_step=2) == curve([1, 2, 3], values, best_step=2)


def test_ticks_are_round_and_within() -> None:
    """An axis has a few round values between its ends, at any size of numbers."""
    for size in (1e-9, 0.003, 1.0, 770.0, 4e12):
        scale = scale_over([0.1 * size, 0.9 * size], 0, 100)
        ticks = scale.ticks()
        assert 2 <= len(ticks) <= 8
        assert all(scale.low <= tick <= scale.high * (1 + 1e-9) for tick in ticks)
        assert all(0 <= scale.at(tick) <= 100 for tick in ticks)


def test_zero_has_no_sign() -> None:
    """A value that rounds to nothing is no minus zero."""
    assert Scale(-1, 1, 0, 1).told(-0.0001) == "0.0"
