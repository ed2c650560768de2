"""Windows of time are read strictly and mean the clock on the wall: over midnight, weekends, summer time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.windows import DAYS, Windows, window_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, *, fold: int = 0) -> datetime:
    """A moment in a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def is_open(window: str, moment: str, stage: str = "cpu") -> bool:
    """Whether a host with this one window starts fits of a stage at a moment in Berlin."""
    return Windows([window], BERLIN).is_open(stage, at(moment))


def test_the_first_minute_is_inside_and_the_last_one_is_not() -> None:
    """A window from nine to five opens at nine sharp and closes at five sharp."""
    assert [
        is_open("9:00-17:00", f"2026-11-23T{hour}")
        for hour in ("08:59:59", "09:00:00", "16:59:59", "17:00:00")
    ] == [False, True, True, False]


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    """On Friday night it reaches into Saturday morning; Friday morning is not in it."""
    friday = "22:00-06:00 fri"
    assert not is_open(friday, "2026-11-27T05:00")  # Friday
    assert is_open(friday, "2026-11-27T22:00")
    assert is_open(friday, "2026-11-28T05:59")
    assert not is_open(friday, "2026-11-28T06:00")
    assert not is_open(friday, "2026-11-28T22:00")


def test_days_may_be_listed_and_ranges_reach_over_the_weekend() -> None:
    """`fri-mon,wed` are five days; what is not among them is closed."""
    window = window_of("00:00-24:00 fri-mon,wed")
    assert {DAYS[day] for day in window.days} == {"fri", "sat", "sun", "mon", "wed"}
    assert is_open("00:00-24:00 fri-mon", "2026-11-23T23:59")
    assert not is_open("00:00-24:00 fri-mon", "2026-11-24T00:00")


def test_a_window_of_one_stage_leaves_the_other_alone() -> None:
    """A stage that no window is about is always open; a window of both holds for each."""
    windows = Windows(["gpu 20:00-08:00"], BERLIN)
    noon = at("2026-11-23T12:00")
    assert windows.is_open("cpu", noon)
    assert not windows.is_open("gpu", noon)
    both = Windows(["gpu 20:00-08:00", "11:00-13:00"], BERLIN)
    assert both.is_open("gpu", noon)
    assert not both.is_open("cpu", at("2026-11-23T14:00"))
    assert both.words("cpu") == "11:00-13:00"
    assert both.words("gpu") == "gpu 20:00-08:00, 11:00-13:00"


def test_without_windows_every_moment_is_open() -> None:
    """Nobody asked for a window."""
    assert Windows([], BERLIN).is_open("gpu", datetime.now(UTC))


def test_the_hour_that_is_skipped_is_in_no_window() -> None:
    """When the clocks go forward, 02:00-03:00 does not open, and 02:30-03:30 opens at three."""
    assert Windows(["02:00-03:00 sun"], BERLIN).next_change("cpu", at("2026-03-29T00:00")) == at(
        "2026-04-05T02:00"
    )
    assert Windows(["02:30-03:30 sun"], BERLIN).next_change("cpu", at("2026-03-29T00:00")) == at(
        "2026-03-29T03:00"
    )


def test_the_hour_that_comes_twice_is_twice_in_its_window() -> None:
    """When the clocks go back, 02:00-03:00 is open for two hours."""
    windows = Windows(["02:00-03:00"], BERLIN)
    opens = windows.next_change("cpu", at("2026-10-25T00:00"))
    assert opens is not None
    closes = windows.next_change("cpu", opens)
    assert closes is not None
    assert closes.astimezone(UTC) - opens.astimezone(UTC) == timedelta(hours=2)


def test_what_never_changes_has_no_next_change() -> None:
    """A window of whole days on all days never closes."""
    assert Windows(["00:00-24:00"], BERLIN).next_change("cpu", datetime.now(UTC)) is None


@pytest.fixture
def _machine_in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_machine_in_berlin")
def test_without_a_zone_the_machine_s_own_clock_decides() -> None:
    """The time it has at that time of the year, summer time in July and not in January."""
    windows = Windows(["12:00-13:00"])
    for month, hour in ((1, 11), (7, 10)):
        assert windows.is_open("cpu", datetime(2026, month, 1, hour, 30, tzinfo=UTC))
        assert not windows.is_open("cpu", datetime(2026, month, 1, hour + 1, 30, tzinfo=UTC))


@settings(deadline=None)
@given(
    first=st.integers(0, 1439),
    last=st.integers(0, 1440),
    days=st.sets(st.integers(0, 6), min_size=1),
    minute=st.integers(0, 7 * 1440 - 1),
)
def test_a_window_is_the_spans_that_begin_on_its_days(
    first: int, last: int, days: set[int], minute: int
) -> None:
    """A minute of the week is inside when it lies in one of the spans, counted around the week."""
    if first == last:
        return
    named = ",".join(DAYS[day] for day in days)
    window = window_of(f"{first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02} {named}")
    length = (last - first) % 1440 or 1440
    begins = [day * 1440 + first for day in days]
    inside = any((minute - begin) % (7 * 1440) < length for begin in begins)
    assert window.holds(minute // 1440, minute % 1440) == inside


@settings(deadline=None)
@given(
    hours=st.integers(0, 24 * 366),
    window=st.sampled_from(["22:00-06:00 mon-fri", "01:30-02:45", "gpu 02:15-03:15 sun", "12:00-12:01 wed"]),
)
def test_the_next_change_is_the_first_moment_that_differs(hours: int, window: str) -> None:
    """Up to it nothing changes, at it the state is the other one: in every hour of a year."""
    windows, begin = Windows([window], BERLIN), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    change = windows.next_change("gpu", begin)
    assert change is not None
    was, change = windows.is_open("gpu", begin), change.astimezone(UTC)
    assert windows.is_open("gpu", change) is not was
    assert windows.is_open("gpu", change - timedelta(seconds=1)) is was
    between = (change - begin) / 7
    assert all(windows.is_open("gpu", begin + between * part) is was for part in range(7))


@pytest.mark.parametrize(
    "text",
    [
        *("", "always", "9-17", "09:00", "09:00-09:00", "24:00-06:00", "09:00-24:01", "09:60-10:00"),
        *("tpu 09:00-17:00", "09:00-17:00 monday", "09:00-17:00 mon-", "09:00-17:00 ,mon", "25:00-26:00"),
        *("09:00-17:00 mon tue", "-1:00-05:00", "09:00-17:00 -fri"),
    ],
)
def test_what_is_no_window_is_told_what_to_write(text: str) -> None:
    """Each refusal shows the form, or the days, or the whole day."""
    with pytest.raises(ValueError, match=r"write|whole day"):
        window_of(text)
