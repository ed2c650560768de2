"""Windows of time: when fits of a stage may be started, in the local time of a zone.

A window is written ``[cpu|gpu] HH:MM-HH:MM [days]``. One that ends before it begins reaches over midnight and
belongs to the day it begins on: ``22:00-06:00 fri`` ends on Saturday. Clocks on the wall decide: an hour that
is skipped in spring is in no window, one that comes twice in autumn is twice in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = 'write "[cpu|gpu] HH:MM-HH:MM [days]", such as "22:00-06:00" or "gpu 20:00-08:00 mon-fri,sun"'
_WINDOW = re.compile(r"(?:(cpu|gpu)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+([a-z,-]+))?")
_DAY_MINUTES = 24 * 60
_AHEAD_MINUTES = 8 * _DAY_MINUTES  # all windows come again within a week


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window: minutes of the day, the first inside and the last one out; days count from Monday, 0."""

    stage: str | None
    first: int
    last: int
    days: frozenset[int]
    text: str

    def holds(self, day: int, minute: int) -> bool:
        """Whether a minute of a day of the week is inside."""
        if self.first < self.last:
            return day in self.days and self.first <= minute < self.last
        return (day in self.days and minute >= self.first) or (
            (day - 1) % 7 in self.days and minute < self.last
        )


def window_of(text: str) -> Window:
    """Return the window of a text; raises ValueError with what to write instead."""
    found = _WINDOW.fullmatch(" ".join(text.lower().split()))
    if found is None:
        raise ValueError(FORM)
    stage, first_hour, first_minute, last_hour, last_minute, days = found.groups()
    first, last = _minute(first_hour, first_minute), _minute(last_hour, last_minute)
    if first in (_DAY_MINUTES, last):
        raise ValueError("a window begins before 24:00 and takes some time; the whole day is 00:00-24:00")
    return Window(stage=stage, first=first, last=last, days=_days(days), text=found[0])


class Windows:
    """All windows of a host in their zone; None is the machine's own."""

    def __init__(self, texts: Sequence[str], zone: tzinfo | None = None) -> None:
        self._windows, self._zone = tuple(window_of(text) for text in texts), zone

    @property
    def by_stage(self) -> bool:
        """Whether some window is of one stage only."""
        return any(window.stage is not None for window in self._windows)

    def is_open(self, stage: str, at: datetime) -> bool:
        """Whether fits of a stage may be started at a moment: always where no window is about the stage."""
        local = at.astimezone(self._zone)
        windows = self._of(stage)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        return not windows or any(window.holds(day, minute) for window in windows)

    def next_change(self, stage: str, at: datetime) -> datetime | None:
        """Return when a stage opens or closes next, in local time; None when it never does."""
        is_open = self.is_open(stage, at)
        minute = at.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(_AHEAD_MINUTES):
            minute += timedelta(minutes=1)
            if self.is_open(stage, minute) != is_open:
                return minute.astimezone(self._zone)
        return None

    def words(self, stage: str) -> str:
        """Return the windows that are about a stage, as they are written."""
        return ", ".join(window.text for window in self._of(stage))

    def _of(self, stage: str) -> list[Window]:
        return [window for window in self._windows if window.stage in (None, stage)]


def _minute(hour: str, minute: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > _DAY_MINUTES:
        raise ValueError(f"{hour}:{minute} is no time of the day; {FORM}")
    return found


def _days(text: str | None) -> frozenset[int]:
    """Return the days of ``mon-fri,sun``; all when none are named. A range may reach over the weekend."""
    if text is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"{part!r} is no day; write some of {', '.join(DAYS)}, or a range: mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)
