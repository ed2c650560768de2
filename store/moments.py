"""Moments: aware UTC datetimes outside, integer microseconds since the epoch in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000


def microseconds_of(moment: datetime) -> int:
    """Return the microseconds since the epoch of an aware datetime, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """Return the aware UTC datetime of microseconds since the epoch, exactly."""
    return EPOCH + timedelta(microseconds=microseconds)


def optional_moment(microseconds: int | None) -> datetime | None:
    """Return the moment, or None for none."""
    return None if microseconds is None else moment_of(microseconds)


def iso_utc(moment: datetime) -> str:
    """Return ``2026-01-02T03:04:05.000006Z``: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parsed_utc(text: str) -> datetime:
    """Return the aware UTC datetime of an ISO text; raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
