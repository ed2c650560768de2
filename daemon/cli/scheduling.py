"""``trainwright schedule``: what the daemon does at certain times, when next, and how the last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from daemon.settings import Settings
from daemon.views.schedules import schedule_document, schedule_rows
from store.errors import StoreError
from store.reading import open_reader

HEADERS = ("name", "do", "cron", "next", "last", "outcome")


@click.command(epilog="Example: trainwright schedule --json")
@results_option
@json_option
def schedule(*, config: Path | None, results_dir: Path | None, as_json: bool) -> None:
    """Show what the daemon does at certain times: [daemon.schedule.NAME] of the configuration file.

    Times are those of the setting time_zone, else of this machine.
    """
    rows = _rows(settings_for(config, results_dir=results_dir))
    if as_json:
        emit(schedule_document(rows))
    elif rows:
        say(table(HEADERS, [_cells(row) for row in rows], shrink="outcome"))
    else:
        say('nothing is scheduled; write [daemon.schedule.NAME] with cron = "30 2 * * *" and do = "backup"')


def _rows(settings: Settings) -> tuple[dict[str, Any], ...]:
    """Return the entries; what other hosts have kept of them as well, where the log can be asked."""
    try:
        with open_reader(settings.database_url) as reader:
            return schedule_rows(settings, reader)
    except StoreError:
        return schedule_rows(settings)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    last = "-" if row["last"] is None else f"{row['last'].astimezone(row['next'].tzinfo):%Y-%m-%d %H:%M}"
    outcome = f"failed: {row['problem']}" if row["problem"] else row["outcome"] or "-"
    outcome += f" on {row['host']}" if row["host"] and not row["problem"] else ""
    return (row["name"], row["do"], row["cron"], f"{row['next']:%Y-%m-%d %H:%M}", last, outcome)
