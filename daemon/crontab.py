"""Times of a day, a week and a month in the five fields of crontab(5), read strictly.

Fields are minute, hour, day of the month, month and day of the week; each is a list of numbers, names,
ranges and steps. 0 and 7 are Sunday. The arithmetic is APScheduler's (https://apscheduler.readthedocs.io).
Its own reader counts days of the week from Monday, and takes a day with a weekday for both where crontab
takes either: so numbers become names here, and such a pair is refused. When clocks are changed its times come
twice or come before the moment they are asked for; so it is asked in plain local time, and what the zone does
to that is done here, as crontab does it: what falls into a skipped hour comes right after it, what falls into
a repeated one comes once, and what is meant for every hour comes in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = 'write minute, hour, day, month and weekday, such as "30 2 * * *" or "*/15 6-20 * * mon-fri"'
_DAYS_OF = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    first: int
    last: int
    names: Mapping[str, int]


_FIELDS = (
    _Field(name="minute", first=0, last=59, names={}),
    _Field(name="hour", first=0, last=23, names={}),
    _Field(name="day", first=1, last=31, names={}),
    _Field(name="month", first=1, last=12, names={name: place + 1 for place, name in enumerate(MONTHS)}),
    _Field(name="weekday", first=0, last=7, names={name: place for place, name in enumerate(WEEKDAYS[:7])}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """The values of each field."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


def crontab_of(text: str) -> Crontab:
    """Return what a text says; raises ValueError with what to write instead."""
    words = text.lower().split()
    if len(words) != len(_FIELDS):
        raise ValueError(FORM)
    minutes, hours, days, months, weekdays = (
        _values(word, field) for word, field in zip(words, _FIELDS, strict=True)
    )
    if words[2] != _EVERY and words[4] != _EVERY:
        raise ValueError("name a day of the month or a day of the week and leave the other *; not both")
    if all(min(days) > _DAYS_OF[month - 1] for month in months):
        raise ValueError("there is no such day in those months")
    return Crontab(
        text=" ".join(words),
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
    )


class Times:
    """The moments that a crontab names in a zone; None is the machine's own."""

    def __init__(self, crontab: Crontab, zone: tzinfo | None) -> None:
        from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 (15 MB; most hosts have no schedule)

        self._zone, self._hourly = zone, len(crontab.hours) == 24
        self._walls = CronTrigger(
            minute=_listed(crontab.minutes),
            hour=_listed(crontab.hours),
            day=_listed(crontab.days),
            month=_listed(crontab.months),
            day_of_week=",".join(WEEKDAYS[day] for day in sorted(crontab.weekdays)),
            timezone=UTC,
        )

    def after(self, moment: datetime) -> datetime:
        """Return the first moment after another one, in local time."""
        begin = moment.astimezone(UTC) + timedelta(microseconds=1)
        while True:
            offset = self._offset(begin)
            found = self._wall(begin + offset) - offset
            if self._offset(found) == offset and (self._hourly or not found.astimezone(self._zone).fold):
                return found.astimezone(self._zone)
            turn = self._change(begin, found) if self._offset(found) != offset else None
            if turn is None:  # the second time of a repeated hour
                begin = found + timedelta(minutes=1)
                continue
            skipped = self._offset(turn) - offset
            if not self._hourly and self._wall(turn + offset) < turn + offset + skipped:
                return turn.astimezone(self._zone)
            begin = turn

    def _wall(self, wall: datetime) -> datetime:
        """Return the next local time at or after one, both in the guise of UTC."""
        found: datetime = self._walls.get_next_fire_time(None, wall)
        return found

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _change(self, begin: datetime, end: datetime) -> datetime:
        """Return the first minute after `begin` at which clocks are changed; there is one before `end`."""
        offset = self._offset(begin)
        step = timedelta(hours=12)  # no zone changes its clocks and back within it
        while begin + step < end and self._offset(begin + step) == offset:
            begin += step
        low, high = begin, min(begin + step, end)
        while high - low > timedelta(seconds=30):
            middle = low + (high - low) / 2
            low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
        return high.replace(second=0, microsecond=0)


def _listed(values: frozenset[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def _values(word: str, field: _Field) -> frozenset[int]:
    """Return the values of one field."""
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == _EVERY:
            begin, end = field.first, field.last
        else:
            begin = _value(first, field)
            end = _value(last, field) if dash else field.last if slash else begin
        if end < begin or (slash and not (step.isascii() and step.isdigit() and int(step) > 0)):
            raise ValueError(f"{part!r} is no {field.name}; {FORM}")
        found.update(range(begin, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _value(word: str, field: _Field) -> int:
    value = field.names.get(word, -1)
    if word.isascii() and word.isdigit():
        value = int(word)
    if not field.first <= value <= field.last:
        names = f", or {', '.join(list(field.names)[:3])} …" if field.names else ""
        raise ValueError(f"{word!r} is no {field.name}; write {field.first} to {field.last}{names}")
    return value
