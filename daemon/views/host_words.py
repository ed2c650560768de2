"""What ``status`` tells of a host: since when its daemon works, how the one before ended, what that cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime
from typing import Any

from daemon.views.words import moment, span
from store.moments import parsed_utc
from store.reading import Reader
from store.records import HostRow

TAKEN_BACK_MAX = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostTold:
    """A host with what its daemon's start says of the time before.

    `taken_back` fits of the daemon before were claimed when it ended, and lost so many seconds of work.
    """

    row: HostRow
    previous_stop_at: datetime | None
    booted_at: datetime | None
    unit: str | None
    taken_back: int
    lost_seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs, in one mapping."""
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.asdict(told.pop("row")) | told


def hosts_told(reader: Reader, hosts: Collection[HostRow]) -> tuple[HostTold, ...]:
    """Return what is known of each host."""
    return tuple(_told(reader, row) for row in hosts)


def _told(reader: Reader, row: HostRow) -> HostTold:
    start = reader.last_start(row.host)
    data = start.data if start is not None else {}
    lost: list[float] = []
    if start is not None:
        expired = reader.events(after=start.seq, kinds=("LeaseExpired",), limit=TAKEN_BACK_MAX)
        of_before = f"{row.host}/"
        lost = [
            event.data["lost_seconds"]
            for event in expired
            if event.data["cause"] == "daemon gone"
            and event.data["worker"].startswith(of_before)
            and event.data["worker"] != row.worker
        ]
    return HostTold(
        row=row,
        previous_stop_at=_moment(data.get("previous_stop_at")),
        booted_at=_moment(data.get("booted_at")),
        unit=data.get("unit"),
        taken_back=len(lost),
        lost_seconds=sum(lost),
    )


def host_line(told: HostTold, *, is_alive: bool, now: datetime) -> str:
    """Return a host as a line: up since, gone, or stopped."""
    row = told.row
    if row.state != "working":
        return f"daemon   stopped on {row.host} at {moment(row.stopped_at)}: {row.cause}"
    if not is_alive:
        return f"daemon   gone without a word on {row.host} (pid {row.pid}); start it: trainwright daemon"
    where = f" on {row.host}, pid {row.pid}{f', {told.unit}' if told.unit else ''}"
    boot = f" (boot {moment(told.booted_at)})" if told.booted_at else ""
    return f"daemon   up {span((now - row.started_at).total_seconds())}{where}{boot}"


def previous_line(told: HostTold) -> str | None:
    """Return how the daemon before ended, when, and what that cost; None where there was none."""
    row = told.row
    if not row.previous_stop or row.state != "working" or row.previous_stop.startswith("first start"):
        return None
    seen = "at" if row.previous_stop.startswith("stopped: ") else "last seen"
    when = f", {seen} {moment(told.previous_stop_at)}" if told.previous_stop_at else ""
    cost = ""
    if told.taken_back:
        were = "1 fit was" if told.taken_back == 1 else f"{told.taken_back} fits were"
        cost = f"; {were} at work, {span(told.lost_seconds)} of it lost"
    return f"before   previous stop: {row.previous_stop.removeprefix('stopped: ')}{when}{cost}"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parsed_utc(text)
