"""Time zones by their IANA name, such as Europe/Berlin."""

from __future__ import annotations

from zoneinfo import ZoneInfo


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the zone of a name, None (the machine's own) for none; raises ValueError for an unknown one."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("write a time zone that this machine knows, such as Europe/Berlin or UTC") from error
