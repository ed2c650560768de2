"""Attempts in lanes: bars, what waits, what is queued, the axis of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_checks import SPACE, of_class, sound, texts, titles

from daemon.pictures import Bar, Ghost, Lanes, gantt

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MOMENT = st.integers(-1000, 100_000).map(lambda seconds: START + timedelta(seconds=seconds))
BAR = st.builds(
    Bar,
    label=st.text(max_size=40),
    start=MOMENT,
    end=st.one_of(st.none(), MOMENT),
    kind=st.sampled_from(["succeeded", "failed", "lost", "cancelled", "running"]),
    short=st.text(max_size=10),
    title=st.text(max_size=40),
    href=st.sampled_from(["", "/fits/f_1", "javascript:alert(1)"]),
    done=st.one_of(st.none(), st.floats(0, 1)),
)
STAGE = st.builds(
    Lanes,
    name=st.sampled_from(["CPU", "GPU"]),
    lanes=st.lists(st.lists(BAR, max_size=4), max_size=14),
    waiting=st.lists(st.tuples(MOMENT, st.integers(0, 10_000)), max_size=5),
    waiting_words=st.text(max_size=60),
    queued=st.lists(st.builds(Ghost, label=st.text(max_size=60)), max_size=4),
    more=st.integers(0, 100),
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stages=st.lists(STAGE, max_size=2), start=MOMENT, end=MOMENT, now=st.one_of(st.none(), MOMENT))
def test_any_history_makes_a_sound_picture(
    stages: list[Lanes], start: datetime, end: datetime, now: datetime | None
) -> None:
    """Bars beyond the window, backwards windows and any names are drawn within the picture."""
    if svg := gantt(stages, start=start, end=end, now=now):
        sound(svg)


def test_each_attempt_is_a_bar_that_leads_to_its_fit() -> None:
    """A bar tells its fit when it is pointed at and leads there, out of the way of the keyboard."""
    bar = Bar(label="cs_y/LSTM", start=at(0), end=at(60), kind="succeeded", title="done", href="/fits/f_1")
    root = sound(gantt([Lanes(name="GPU", lanes=[[bar]])], start=at(0), end=at(120)))
    link = root.find(f".//{SPACE}a")
    assert link is not None
    assert (link.get("href"), link.get("tabindex")) == ("/fits/f_1", "-1")
    assert "done" in titles(root)
    assert "cs_y/LSTM" in texts(root)
    assert "1 in 1 lanes" in (root.get("aria-label") or "")


def test_a_failed_bar_has_a_cross_and_a_lost_one_dashes() -> None:
    """How an attempt ended can be told without colours, and the legend says what is what."""
    lane = [
        Bar(label="a", start=at(0), end=at(50), kind="failed"),
        Bar(label="b", start=at(50), end=at(99), kind="lost"),
    ]
    root = sound(gantt([Lanes(name="CPU", lanes=[lane])], start=at(0), end=at(100)))
    assert len(of_class(root, "cross")) == 2  # of the bar and of the legend
    assert {"failed", "lost or given back"} <= set(texts(root))
    assert "done" not in texts(root)


def test_where_there_is_no_room_the_short_name_stands() -> None:
    """A narrow bar says its family rather than the first letters that all fits share."""
    bar = Bar(
        label="sym_y_fwd_ret_10m_AAPL/LightGBM", short="LightGBM", start=at(0), end=at(10), kind="running"
    )
    root = sound(gantt([Lanes(name="CPU", lanes=[[bar]])], start=at(0), end=at(120), now=at(100)))
    assert "LightGBM" in texts(root)
    assert "now" in texts(root)


def test_what_waits_is_hatched_and_says_why() -> None:
    """The height of the hatched area is how many fits wait, and its words say for what."""
    stage = Lanes(
        name="GPU", lanes=[], waiting=[(at(0), 8), (at(50), 2)], waiting_words="WaitingForCpuStage: 1 CPU fit"
    )
    root = sound(gantt([stage], start=at(0), end=at(100)))
    assert "2 wait: WaitingForCpuStage: 1 CPU fit" in texts(root)
    area = next(element for element in of_class(root, "waiting") if element.tag == f"{SPACE}path")
    assert area.get("fill") == "url(#pic-hatch)"
    assert root.find(f".//{SPACE}pattern[@id='pic-hatch']") is not None


def test_the_queue_stands_as_ghosts_behind_now() -> None:
    """What comes next is named beside the lanes, and the rest is counted."""
    stage = Lanes(name="CPU", lanes=[], queued=[Ghost(label="cs_a/LightGBM", href="/fits/f_2")], more=7)
    root = sound(gantt([stage], start=at(0), end=at(100), now=at(100)))
    assert len(of_class(root, "ghost")) == 1
    assert {"cs_a/LightGBM", "and 7 more wait"} <= set(texts(root))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (20, "03:04:10"),
        (3600, "03:20"),
        (86_400, "06:00"),
        (20 * 86_400, "01-08"),
        (700 * 86_400, "2026-06-06"),
    ],
)
def test_the_axis_has_round_moments_at_any_length(seconds: int, told: str) -> None:
    """Seconds, minutes, hours, days and months are told as people say them."""
    root = sound(gantt([Lanes(name="CPU", lanes=[])], start=START, end=at(seconds)))
    assert told in texts(root)
    assert "2026-01-02 UTC" in texts(root)


def test_more_lanes_than_a_screen_has_are_counted() -> None:
    """Hundreds of attempts side by side do not make a picture nobody can scroll through."""
    lanes = [[Bar(label=f"f{place}", start=at(0), end=at(9), kind="succeeded")] for place in range(300)]
    svg = gantt([Lanes(name="CPU", lanes=lanes)], start=at(0), end=at(10))
    root = sound(svg)
    assert "and 260 more lanes" in texts(root)
    assert float(root.get("height") or 0) < 600


def test_nothing_is_drawn_of_nothing() -> None:
    """Without a stage there is no picture."""
    assert gantt([], start=START, end=START) == ""
