"""Crontab fields are read strictly, and their times come once a day whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.crontab import Crontab, Times, crontab_of

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


def times(text: str, begin: datetime, count: int, zone: tzinfo = BERLIN) -> list[str]:
    """The first times of a crontab after a moment, in UTC."""
    found, named = [begin], Times(crontab_of(text), zone)
    for _ in range(count):
        found.append(named.after(found[-1]))
    return [f"{one.astimezone(UTC):%m-%dT%H:%M}" for one in found[1:]]


def test_fields_are_lists_of_numbers_names_ranges_and_steps() -> None:
    """Sunday is 0 and 7, a number with a step goes on to the end, a star with a step begins at the first."""
    found = crontab_of("5,10-12 */6 1/10 JAN,mar-apr *")
    assert found.minutes == {5, 10, 11, 12}
    assert found.hours == {0, 6, 12, 18}
    assert found.days == {1, 11, 21, 31}
    assert found.months == {1, 3, 4}
    assert crontab_of("0 0 * * 5-7").weekdays == {5, 6, 0}
    assert crontab_of("0 0 * * mon-fri").weekdays == {1, 2, 3, 4, 5}
    assert crontab_of("0  0 * *   sun").weekdays == {0}


def test_days_of_the_week_are_crontab_s() -> None:
    """1 is Monday: 2026-11-23."""
    assert times("0 12 * * 1", datetime(2026, 11, 18, tzinfo=UTC), 1, ZoneInfo("UTC")) == ["11-23T12:00"]


def test_a_night_job_comes_once_when_the_clocks_are_changed() -> None:
    """Half past two in a night without that hour comes at three; in one with two of them at the first."""
    assert times("30 2 * * *", FORWARD, 2) == ["03-29T01:00", "03-30T00:30"]
    assert times("30 2 * * *", BACK, 2) == ["10-25T00:30", "10-26T01:30"]
    between = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # in the second of the two hours
    assert times("30 2 * * *", between, 1) == ["10-26T01:30"]


def test_a_job_of_every_hour_comes_in_each() -> None:
    """Two of them in the hour that comes twice, none that is too many where one is skipped."""
    assert times("*/30 * * * *", datetime(2026, 3, 29, 0, 10, tzinfo=UTC), 3) == [
        "03-29T00:30",
        "03-29T01:00",
        "03-29T01:30",
    ]
    assert times("*/30 * * * *", datetime(2026, 10, 24, 23, 40, tzinfo=UTC), 5) == [
        "10-25T00:00",
        "10-25T00:30",
        "10-25T01:00",
        "10-25T01:30",
        "10-25T02:00",
    ]


def test_rare_times_are_found() -> None:
    """The next 29 February, and a year's end from its beginning."""
    begin = datetime(2026, 11, 22, tzinfo=UTC)
    assert Times(crontab_of("0 0 29 2 *"), UTC).after(begin) == datetime(2028, 2, 29, tzinfo=UTC)
    assert times("59 23 31 12 *", begin, 2, UTC) == ["12-31T23:59", "12-31T23:59"]


def test_without_a_zone_the_machine_s_own_clock_decides() -> None:
    """Noon here is noon by the machine."""
    found = Times(crontab_of("0 12 * * *"), None).after(datetime(2026, 7, 1, tzinfo=UTC))
    assert (found.hour, found.minute) == (12, 0)
    assert found == found.replace(tzinfo=None).astimezone()


def first_by_looking(crontab: Crontab, zone: tzinfo, after: datetime) -> datetime:
    """What `Times.after` should find, minute by minute."""
    hourly = len(crontab.hours) == 24

    def matches(wall: datetime) -> bool:
        return (
            wall.minute in crontab.minutes
            and wall.hour in crontab.hours
            and wall.day in crontab.days
            and wall.month in crontab.months
            and (wall.weekday() + 1) % 7 in crontab.weekdays
        )

    minute = after.replace(second=0, microsecond=0)
    while True:
        before, minute = minute.astimezone(zone).replace(tzinfo=None), minute + timedelta(minutes=1)
        local = minute.astimezone(zone)
        wall = local.replace(tzinfo=None)
        if matches(wall) and (hourly or not local.fold):
            return minute
        skipped = range(1, (wall - before) // timedelta(minutes=1))
        if not hourly and any(matches(before + timedelta(minutes=step)) for step in skipped):
            return minute


@settings(deadline=None, max_examples=60)
@given(
    minutes=st.integers(0, 7 * 24 * 60),
    around=st.sampled_from(
        [FORWARD, BACK, datetime(2026, 4, 3, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)]
    ),
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
    ),
    text=st.sampled_from(
        ["30 2 * * *", "0 * * * *", "*/20 1-3 * * *", "15 2,3 * * sun", "59 1 1,5,25,29 * *", "7 */2 * * *"]
    ),
)
def test_the_next_time_is_the_first_one_there_is(
    minutes: int, around: datetime, zone: str, text: str
) -> None:
    """Of any moment around the days on which clocks are changed, somewhere on earth."""
    crontab, begin = crontab_of(text), around + timedelta(minutes=minutes - 2 * 24 * 60)
    found = Times(crontab, ZoneInfo(zone)).after(begin)
    assert found.astimezone(UTC) == first_by_looking(crontab, ZoneInfo(zone), begin)


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *"),
        *("* * * * 8", "* * * * fun", "5-1 * * * *", "*/0 * * * *", "*/x * * * *", "1-2-3 * * * *"),
        *("-5 * * * *", "1,,2 * * * *", "² * * * *", "0 0 30 2 *", "0 0 31 4,6 *", "0 0 13 * fri"),
    ],
)
def test_what_is_no_crontab_is_told_what_to_write(text: str) -> None:
    """Fields too many or too few, values out of range, days that never come, and day with weekday."""
    with pytest.raises(ValueError, match=r"write|no such day|not both"):
        crontab_of(text)
