"""``trainwright schedule``: what the daemon does at certain times, when next, and how the last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from daemon.crontab import Times
from daemon.schedule_entries import Entry, entries_of
from daemon.schedule_state import FOLDER, moment_in, read_state
from daemon.settings import Settings
from daemon.views.words import iso
from daemon.zones import zone_of

HEADERS = ("name", "do", "cron", "next", "last", "outcome")


@click.command(epilog="Example: trainwright schedule --json")
@results_option
@json_option
def schedule(*, config: Path | None, results_dir: Path | None, as_json: bool) -> None:
    """Show what the daemon does at certain times: [daemon.schedule.NAME] of the configuration file.

    Times are those of the setting time_zone, else of this machine.
    """
    settings = settings_for(config, results_dir=results_dir)
    rows = [_row(entry, settings) for entry in entries_of(settings.schedule)]
    if as_json:
        emit({"schedule": [{**row, "next": iso(row["next"]), "last": iso(row["last"])} for row in rows]})
    elif rows:
        say(table(HEADERS, [_cells(row) for row in rows], shrink="outcome"))
    else:
        say('nothing is scheduled; write [daemon.schedule.NAME] with cron = "30 2 * * *" and do = "backup"')


def _row(entry: Entry, settings: Settings) -> dict[str, Any]:
    known = read_state(settings.results_dir / FOLDER).get(entry.name, {})
    zone = zone_of(settings.time_zone)
    return {
        "name": entry.name,
        "do": entry.do,
        "cron": entry.crontab.text,
        "next": Times(entry.crontab, zone).after(datetime.now(UTC)),
        "last": moment_in(known, "began_at"),
        "outcome": _outcome(known),
        "problem": known.get("problem") or None,
    }


def _outcome(known: Mapping[str, Any]) -> str | None:
    if "began_at" not in known:
        return None
    if "ended_at" not in known:
        return "begun"
    return "failed" if known.get("problem") else "done"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    last = "-" if row["last"] is None else f"{row['last'].astimezone(row['next'].tzinfo):%Y-%m-%d %H:%M}"
    outcome = f"failed: {row['problem']}" if row["problem"] else row["outcome"] or "-"
    return (row["name"], row["do"], row["cron"], f"{row['next']:%Y-%m-%d %H:%M}", last, outcome)
