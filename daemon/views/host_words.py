"""What ``status`` tells of a host: since when its daemon works, how the one before ended, what that cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime
from typing import Any

from daemon.views.words import counted, moment, span
from store.moments import parsed_utc
from store.reading import Reader
from store.records import HostRow

TAKEN_BACK_MAX = 1000
WORKING = ("up", "draining", "drained")  # how hosts stand that do or may do something
SILENT = "its machine or its way to the log is down; gone for good: trainwright hosts remove"


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


def state_of(row: HostRow, *, is_alive: bool, is_gone: bool, running: int) -> str:
    """Return how a host stands, in a word.

    That is up, draining (it claims nothing more), drained (nor does anything run there), silent (of another
    machine, and not heard of for long), gone (its process has ended without a word), stopped, or removed.
    """
    if row.removed_at is not None:
        return "removed"
    if row.state != "working":
        return "stopped"
    if not is_alive:
        return "gone" if is_gone or row.beat_at is None else "silent"
    if row.draining is None:
        return "up"
    return "draining" if running else "drained"


def host_line(told: HostTold, *, state: str, running: int, now: datetime) -> str:
    """Return a host as a line: up since, draining, not heard of, gone, or stopped."""
    row = told.row
    where = f" on {row.host}, pid {row.pid}{f', {told.unit}' if told.unit else ''}"
    if state == "removed":
        return f"daemon   removed: {row.host} at {moment(row.removed_at)}"
    if state == "stopped":
        line = f"daemon   stopped on {row.host} at {moment(row.stopped_at)}: {row.cause}"
        return f"{line}; it drains{_because(row)}" if row.draining is not None else line
    if state == "silent":
        return f"daemon   not heard of{where}, since {moment(row.beat_at)}: {SILENT}"
    if state == "gone":
        return f"daemon   gone without a word on {row.host} (pid {row.pid}); start it: trainwright daemon"
    if state in ("draining", "drained"):
        left = f"{counted(running, 'fit')} to end" if running else "nothing runs there any more"
        return f"daemon   draining{where}{_because(row)}; {left}"
    boot = f" (boot {moment(told.booted_at)})" if told.booted_at else ""
    return f"daemon   up {span((now - row.started_at).total_seconds())}{where}{boot}"


def trouble_line(row: HostRow, *, state: str) -> str | None:
    """Return what a host lacks though it works, as a line; None where nothing, or where it does not work."""
    if row.trouble is None or state not in WORKING:
        return None
    return f"trouble  {row.trouble}; trainwright doctor, on {row.host}"


def _because(row: HostRow) -> str:
    return f": {row.draining}" if row.draining else ""


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
