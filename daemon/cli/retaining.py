"""``trainwright db archive|retain``: finished plans into files of their own, and out of the log."""

from __future__ import annotations

import dataclasses
import getpass
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from daemon.cli.screen import emit, say, table, tell
from daemon.cli.workspace import existing_log, json_option, results_option, results_place
from store.archive import Archive, archive, archives, finished_plans
from store.database import Database, connect
from store.moments import MICROSECONDS
from store.retention import Retirement, retire, retirement
from store.revision import require_schema
from store.seals import seals_path

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """A span of time in one unit: 90d, 12h, 30m, 8w."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401 - click's signature
        """Return the span; fails with the form that is wanted."""
        found = re.fullmatch(r"(\d{1,6})([mhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age: write 90d, 12h, 30m or 8w", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command("archive", epilog="Example: trainwright db archive --older-than 30d")
@click.option("--plan", "plan_ids", multiple=True, help="This plan; may be given several times.")
@click.option("--older-than", "age", type=Age(), help="Every plan that was finished longer ago, such as 30d.")
@click.option("--list", "listing", is_flag=True, help="The archives there are, each held against its hash.")
@results_option
@json_option
def archive_plans(
    *, plan_ids: tuple[str, ...], age: timedelta | None, listing: bool, as_json: bool, **options: Path | None
) -> None:
    """Write finished plans to parquet, one file each, checked after writing; the log keeps them too."""
    if not (plan_ids or age is not None or listing):
        raise click.UsageError("name a plan with --plan, or give --older-than 30d, or --list")
    results, database = results_place(**options), connect(existing_log(**options))
    try:
        require_schema(database)
        if listing:
            found: Sequence[Archive] = archives(database, results)
        else:
            old = () if age is None else finished_plans(database, before=_moment(database, age))
            actor = getpass.getuser()
            found = [
                archive(database, plan, results, actor=actor) for plan in dict.fromkeys((*plan_ids, *old))
            ]
    finally:
        database.close()
    if as_json:
        emit({"archives": [dataclasses.asdict(one) for one in found]})
    elif found:
        say(_table(found, listing=listing))
    else:
        say(
            "no plan matches"
            if age is not None
            else "no archives: trainwright db archive --older-than 30d makes them"
        )
    if listing and any(one.state in ("missing", "changed") for one in found):
        raise SystemExit(3)


@click.command(epilog="Example: trainwright db retain --older-than 90d --dry-run")
@click.option("--older-than", "age", type=Age(), required=True, help="How old an event must be, such as 90d.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and what holds the rest.")
@results_option
@json_option
def retain(*, age: timedelta, dry_run: bool, as_json: bool, **options: Path | None) -> None:
    """Remove the oldest events, of finished and archived plans only; the hash chain goes on unbroken."""
    url = existing_log(**options)
    database = connect(url)
    try:
        require_schema(database)
        before = _moment(database, age)
        if dry_run:
            found = retirement(database, before=before)
        else:
            found = retire(database, before=before, seals=seals_path(url, results_place(**options)))
    finally:
        database.close()
    if as_json:
        emit({**dataclasses.asdict(found), "dry_run": dry_run})
    else:
        _say(found, "would go" if dry_run else "are gone")


def _moment(database: Database, age: timedelta) -> int:
    """The moment so long ago, by the database's clock, in microseconds since the epoch."""
    with database.snapshot() as tx:
        return tx.now() - round(age.total_seconds() * MICROSECONDS)


def _table(found: Sequence[Archive], *, listing: bool) -> str:
    rows = [
        (one.plan, one.name, f"{one.events:,}", _state(one, listing=listing), str(one.path)) for one in found
    ]
    return table(("plan", "name", "events", "state", "file"), rows, right=("events",))


def _state(one: Archive, *, listing: bool) -> str:
    if listing:
        return one.state
    return "written" if one.new else "there already"


def _say(found: Retirement, words: str) -> None:
    if found.events:
        plans = f"{len(found.plans)} plan{'' if len(found.plans) == 1 else 's'}"
        say(f"{found.events:,} events {words}: {found.first_seq:,} to {found.last_seq:,}, with {plans}")
    else:
        say("no event can go")
    tell(f"held  event {found.last_seq + 1:,} stays: {found.held_by}")
