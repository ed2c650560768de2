"""``trainwright db``: the event log and its tables, checked, rebuilt, and kept."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import click

from daemon.cli.keeping import backup, bring_in, export, restore, seal_now
from daemon.cli.retaining import archive_plans, retain
from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import existing_log, json_option, log_url, results_option, results_place
from store import open_store
from store.database import connect
from store.schema import migrations_dir
from store.schema import upgrade as upgrade_schema
from store.seals import read_seals, seals_path
from store.verification import verify as verify_log

_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@click.group(epilog="Example: trainwright db info")
def db() -> None:
    """Look after the event log and the tables derived from it."""


for command in (backup, restore, seal_now, export, bring_in, archive_plans, retain):
    db.add_command(command)


@db.command(epilog="Example: trainwright db upgrade")
@results_option
def upgrade(**options: Path | None) -> None:
    """Make or update the tables; events are never changed."""
    url = log_url(**options)
    upgrade_schema(url)
    with open_store(url) as store:
        say(f"{url} is at schema {store.info().schema}")


@db.command(epilog="Example: trainwright db verify")
@results_option
@json_option
def verify(*, as_json: bool, **options: Path | None) -> None:
    """Check order, versions, chain, seals and guards of the log, and compare the tables with a replay."""
    url = existing_log(**options)
    open_store(url, create=False, migrate=False).close()
    place = seals_path(url, results_place(**options))
    seals, database = read_seals(place), connect(url, readonly=True)
    try:
        found = verify_log(database, outside=seals)
    finally:
        database.close()
    if as_json:
        emit({**dataclasses.asdict(found), "seals": {"path": place, "count": len(seals)}})
    else:
        for problem in found.problems:
            tell(f"problem: {problem}")
        say(f"{found.events:,} events: {'all well' if found.ok else f'{len(found.problems)} problems'}")
        if seals:
            many = f"{len(seals):,} seal{'' if len(seals) == 1 else 's'}"
            tell(f"held against {many}, the last of event {seals[-1].last_seq:,}: {place}")
        if not found.ok:
            tell(
                "next  trainwright db rebuild if only tables differ, else trainwright db restore FILE --force"
            )
    raise SystemExit(0 if found.ok else 3)


@db.command(epilog="Example: trainwright db rebuild")
@results_option
def rebuild(**options: Path | None) -> None:
    """Drop the derived tables and fold them anew from the log."""
    with open_store(existing_log(**options), create=False) as store:
        say(f"rebuilt from {store.rebuild():,} events")


@db.command(epilog="Example: trainwright db roles --writer trainer    (to be given to psql)")
@click.option("--owner", default="tw_owner", show_default=True, help="Who has the tables: for `db upgrade`.")
@click.option("--writer", default="tw_writer", show_default=True, help="Who adds events: for daemons.")
@click.option(
    "--reader", default="tw_reader", show_default=True, help="Who only looks: for people and pages."
)
def roles(**names: str) -> None:
    """Print the SQL that makes three roles on Postgres, for psql; it holds no password and asks nobody."""
    for role, name in names.items():
        if not _ROLE.fullmatch(name):
            raise click.BadParameter(
                f"{name!r} is no name of a role: letters, digits and _, 63 at most", param_hint=f"--{role}"
            )
    for role, name in names.items():
        say(f"\\set {role} {name}")
    say((migrations_dir() / "postgres_roles.sql").read_text(encoding="utf-8").rstrip())


@db.command(epilog="Example: trainwright db info")
@results_option
@json_option
def info(*, as_json: bool, **options: Path | None) -> None:
    """Say what the database is: engine, size, counts, warnings."""
    with open_store(existing_log(**options), create=False, migrate=False) as store:
        found = store.info()
    if as_json:
        emit(dataclasses.asdict(found))
        return
    say(f"{found.url}  ({found.engine} {found.engine_version}, schema {found.schema})")
    say(
        f"events {found.events:,}, plans {found.plans:,}, fits {found.fits:,}, "
        f"{found.size_bytes / 1e6:.1f} MB"
    )
    for warning in found.warnings:
        tell(f"warning: {warning}")
