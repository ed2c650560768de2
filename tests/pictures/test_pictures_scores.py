"""Bars, intervals against a line, periods, calibration."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_checks import SPACE, of_class, sound, texts, titles

from daemon.pictures import Estimate, bars, calibration, forest, periods, ranking

NUMBER = st.one_of(st.none(), st.floats())
ESTIMATES = st.lists(
    st.builds(
        Estimate,
        label=st.text(max_size=60),
        value=NUMBER,
        low=NUMBER,
        high=NUMBER,
        kind=st.sampled_from(["model", "baseline", "kept", "dropped", "blocked"]),
        note=st.text(max_size=30),
        href=st.sampled_from(["", "/fits/f_1", "javascript:alert(1)", "https://elsewhere.example/"]),
    ),
    max_size=12,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ESTIMATES, reference=NUMBER)
def test_any_estimates_make_sound_pictures_or_none(rows: list[Estimate], reference: float | None) -> None:
    """Foreign names and any numbers give pictures that lead nowhere but to our own site."""
    for svg in (
        forest(rows, reference=reference),
        ranking(rows, reference=reference),
        periods(rows, reference=reference),
    ):
        if svg:
            sound(svg)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(st.text(max_size=50), NUMBER, NUMBER), max_size=40))
def test_any_bars_are_sound_or_none(rows: list[tuple[str, float | None, float | None]]) -> None:
    """Names and numbers of any kind give a picture or nothing."""
    if svg := bars(rows):
        sound(svg)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(NUMBER, NUMBER, st.floats()), max_size=20))
def test_any_bins_are_sound_or_none(rows: list[tuple[float | None, float | None, float]]) -> None:
    """Bins with missing means or senseless counts give a picture or nothing."""
    if svg := calibration(rows):
        sound(svg)


def test_what_does_not_clear_the_line_is_hollow() -> None:
    """A model whose interval reaches the baseline has another shape than one that is surely above it."""
    root = sound(
        forest(
            [
                Estimate(label="persistence", value=0.1, low=0.05, high=0.15, kind="baseline"),
                Estimate(label="sure", value=0.3, low=0.2, high=0.4),
                Estimate(label="not sure", value=0.2, low=0.05, high=0.35),
            ],
            reference=0.1,
        )
    )
    marks = [rect.get("class") for rect in root.iter(f"{SPACE}rect")]
    assert marks == ["f1", "hollow"]
    assert "3 rows, 1 clear baseline" in (root.get("aria-label") or "")


def test_the_verdict_of_the_planner_decides_in_a_ranking() -> None:
    """A target that was kept is filled and one that was dropped is hollow, wherever their intervals lie."""
    rows = [
        Estimate(label="a", value=0.1, low=-0.1, high=0.3, kind="kept"),
        Estimate(label="b", value=0.4, low=0.3, high=0.5, kind="dropped"),
        Estimate(label="c", value=0.9, low=0.8, high=1.0, kind="blocked"),
    ]
    root = sound(ranking(rows))
    assert [rect.get("class") for rect in root.iter(f"{SPACE}rect")] == ["f1", "hollow"]
    assert len(of_class(root, "cross")) == 1


def test_a_row_without_a_score_says_why() -> None:
    """What was not measured keeps its row, with the reason in the place of the mark."""
    rows = [Estimate(label="a", value=0.1), Estimate(label="b", value=None, note="failed: out of memory")]
    assert "failed: out of memory" in texts(sound(forest(rows)))


def test_markup_in_a_name_is_text() -> None:
    """A name that looks like markup is shown as it is written, cut, and whole when it is pointed at."""
    name = "<script>alert(1)</script>" + "x" * 60
    svg = forest([Estimate(label=name, value=0.1)])
    assert "<script" not in svg
    root = sound(svg)
    assert any(text.startswith("<script>alert(1)</script>") for text in texts(root))
    assert name in titles(root)


@pytest.mark.parametrize("sign", ["\u202e", "\x00", "\x1b", "\ud800", "\u2066"])
def test_signs_that_turn_or_break_text_are_shown_by_number(sign: str) -> None:
    """A name cannot turn the order of what stands behind it, nor make the document unreadable."""
    root = sound(bars([(f"a{sign}b", 1.0, None)]))
    assert f"a\\u{ord(sign):04x}b" in texts(root)


def test_only_so_many_bars_are_drawn_and_the_rest_is_counted() -> None:
    """A model of a thousand features has a picture of thirty, which says how many more there are."""
    root = sound(bars([(f"f{place}", 1.0 / (place + 1), None) for place in range(1000)]))
    assert "and 970 more" in texts(root)


def test_a_period_below_the_line_is_hollow() -> None:
    """Periods in which a model stopped working can be told without colours, and are counted."""
    rows = [Estimate(label=f"2025-{month:02d}", value=0.1 if month % 3 else -0.1) for month in range(1, 13)]
    root = sound(periods(rows))
    assert len(of_class(root, "hollow")) == 4
    assert "12 periods, 4 of them not above the line" in (root.get("aria-label") or "")


def test_a_larger_bin_has_a_larger_point() -> None:
    """The area of a point of the calibration says how many rows stand behind it."""
    root = sound(calibration([(0.1, 0.1, 10), (0.5, 0.4, 1000)]))
    small, large = (float(point.get("r") or 0) for point in root.iter(f"{SPACE}circle"))
    assert small < large
    assert "furthest off at 0.5 where 0.4 came" in (root.get("aria-label") or "")
