"""Events of the log as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable

from store.records import EventRow
from trainwright.tables import Column, Table

EVENTS: tuple[Column[EventRow], ...] = (
    Column(name="seq", value=lambda row: row.seq, right=True),
    Column(name="at", value=lambda row: row.at),
    Column(name="kind", value=lambda row: row.kind),
    Column(name="plan", value=lambda row: row.plan, shown=False),
    Column(name="job", value=lambda row: row.job),
    Column(name="fit", value=lambda row: row.fit, shown=False),
    Column(name="attempt", value=lambda row: row.attempt, right=True),
    Column(name="actor", value=lambda row: row.actor),
    Column(name="data", value=lambda row: dict(row.data), words=lambda row: json.dumps(dict(row.data))),
)


def events_table(rows: Iterable[EventRow]) -> Table[EventRow]:
    """Return events as a table, in the order they come."""
    return Table(tuple(rows), EVENTS, "event")
