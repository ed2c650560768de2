"""Sparklines and learning curves."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_checks import SPACE, of_class, sound, texts

from daemon.pictures import curve, sparkline

LOSSES = st.lists(st.one_of(st.none(), st.floats()), max_size=400)
TABLE_BYTES_MAX = 600  # of one sparkline: a table has a hundred


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=LOSSES, label=st.text(max_size=40))
def test_any_values_make_a_sound_sparkline_or_none(values: list[float | None], label: str) -> None:
    """Whatever a fit reports, not a number and infinity too, the table can show it."""
    svg = sparkline(values, label=label)
    known = [value for value in values if value is not None and math.isfinite(value)]
    assert bool(svg) == (len(known) >= 2)
    if svg:
        sound(svg)


def test_a_sparkline_is_small_and_tells_its_ends() -> None:
    """A hundred of them fit into a page, and who does not see them hears where they went."""
    svg = sparkline([1 / step for step in range(1, 1000)], label="validation loss")
    assert len(svg) <= TABLE_BYTES_MAX
    assert "validation loss from 1 to 0.001, lowest 0.001" in (sound(svg).get("aria-label") or "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(train=LOSSES, valid=LOSSES, best=st.one_of(st.none(), st.floats(), st.integers(-5, 500)))
def test_any_losses_make_a_sound_curve_or_none(
    train: list[float | None], valid: list[float | None], best: float | None
) -> None:
    """Losses that are missing, huge, tiny, equal or no numbers give a picture or nothing, never an error."""
    steps = range(1, max(len(train), len(valid)) + 1)
    svg = curve(steps, {"train_loss": train, "<b>": valid}, best_step=best)
    if svg:
        sound(svg)


def test_a_curve_marks_the_kept_step_with_its_loss() -> None:
    """The step whose model was kept has a line, a ring and words."""
    steps = list(range(10, 110, 10))
    losses = [1.0, 0.8, 0.7, 0.6, 0.5, 0.45, 0.5, 0.55, 0.6, 0.7]
    root = sound(curve(steps, {"train_loss": losses[::-1], "valid_loss": losses}, best_step=60))
    assert "kept: step 60, 0.45" in texts(root)
    assert len(of_class(root, "hollow")) == 1


def test_each_line_has_a_dash_of_its_own_and_a_name() -> None:
    """No line is told from another by its colour alone."""
    root = sound(curve([1, 2, 3], {"train_loss": [3.0, 2.0, 1.0], "valid_loss": [3.0, 2.5, 2.0]}))
    lines = [element.get("class") for element in root.iter(f"{SPACE}polyline")]
    assert lines == ["s1", "s2"]
    assert {"train loss", "valid loss"} <= set(texts(root))


def test_losses_over_decades_are_drawn_by_their_logarithm() -> None:
    """A first loss of thousands does not flatten all that follows, and the picture says so."""
    wide = sound(curve(range(1, 5), {"loss": [4000.0, 40.0, 2.0, 0.5]}))
    narrow = sound(curve(range(1, 5), {"loss": [4.0, 3.0, 2.0, 1.5]}))
    assert "log scale" in texts(wide)
    assert "log scale" not in texts(narrow)


def test_a_long_curve_stays_small() -> None:
    """Ten thousand steps take no more bytes than three hundred, and the last one is among them."""
    values = [1 / step for step in range(1, 10_001)]
    svg = curve(range(1, 10_001), {"valid_loss": values})
    assert len(svg) < 8_000
    assert "0.0001" in (sound(svg).get("aria-label") or "")
