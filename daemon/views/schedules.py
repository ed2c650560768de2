"""What the daemon does at certain times: when next, and how the last run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.crontab import Times
from daemon.schedule_entries import Entry, entries_of
from daemon.schedule_state import FOLDER, moment_in, newest_of, read_state, shared_state
from daemon.settings import Settings
from daemon.views.words import iso
from daemon.zones import zone_of
from store.reading import Reader


def schedule_rows(settings: Settings, reader: Reader | None = None) -> tuple[dict[str, Any], ...]:
    """Return each entry: its name, what it does, its crontab, the next and the last moment, the outcome.

    The last run is that of any host, where there is a log to ask.
    """
    return tuple(_row(entry, settings, reader) for entry in entries_of(settings.schedule))


def schedule_document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries for programs."""
    return {"schedule": [{**row, "next": iso(row["next"]), "last": iso(row["last"])} for row in rows]}


def _row(entry: Entry, settings: Settings, reader: Reader | None) -> dict[str, Any]:
    own = read_state(settings.results_dir / FOLDER).get(entry.name, {})
    known = newest_of(own, {} if reader is None else shared_state(reader, entry.name))
    zone = zone_of(settings.time_zone)
    return {
        "name": entry.name,
        "do": entry.do,
        "cron": entry.crontab.text,
        "next": Times(entry.crontab, zone).after(datetime.now(UTC)),
        "last": moment_in(known, "began_at"),
        "host": known.get("host"),
        "outcome": _outcome(known),
        "problem": known.get("problem") or None,
    }


def _outcome(known: Mapping[str, Any]) -> str | None:
    if "began_at" not in known:
        return None
    if "ended_at" not in known:
        return "begun"
    return "failed" if known.get("problem") else "done"
