"""``trainwright db backup|restore|seal|export|import``: the log outside its database, and back."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import existing_log, json_option, log_url, results_option, results_place
from daemon.lock import held_lock
from daemon.views.words import iso, span
from store.backup import back_up, backup_path, remove_older
from store.database import connect
from store.errors import LogDamaged
from store.moments import moment_of
from store.restoring import restore as restore_log
from store.revision import require_schema
from store.schema import upgrade
from store.seals import Seal, seal_log, seals_path
from store.transfer import Transferred, export_log, import_log

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Example: trainwright db backup /mnt/safe/trainwright-monday.db")
@click.argument("file", type=FILE, required=False)
@click.option(
    "--keep", type=click.IntRange(min=1), help="Remove older ones in results/backups/ beyond so many."
)
@results_option
@json_option
def backup(*, file: Path | None, keep: int | None, as_json: bool, **options: Path | None) -> None:
    """Copy the log to FILE while it is written to, and check the copy; default results/backups/.

    A backup of SQLite is a database file; one of Postgres is the format of `db export`, compressed.
    """
    if file is not None and keep is not None:
        raise click.UsageError("--keep counts the backups in results/backups/; leave FILE out.")
    url, results = existing_log(**options), results_place(**options)
    path = file or backup_path(url, results, datetime.now(UTC))
    made = back_up(url, path, seals=seals_path(url, results))
    removed = remove_older(path, keep=keep) if keep is not None else ()
    if as_json:
        emit({**dataclasses.asdict(made), "removed": [str(old) for old in removed]})
        return
    say(f"{made.path}")
    say(
        f"{made.events:,} events, {_size(made.size_bytes)}, copied in {span(made.copy_seconds)}, "
        f"checked in {span(made.check_seconds)}: all well"
    )
    say(f"head  event {made.head_seq:,}, hash {made.head_hash}")
    for old in removed:
        tell(f"removed  {old}")
    tell(f"next  trainwright db restore {made.path}    when it is needed")


@click.command(
    epilog="Example: trainwright db restore results/backups/trainwright-20260102T030405Z.db --force"
)
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace a log that has events; it is kept under another name.")
@results_option
@json_option
def restore(*, file: Path, force: bool, as_json: bool, **options: Path | None) -> None:
    """Put a backup in the place of the log, once it was checked; no daemon may be at work."""
    url, results = log_url(**options), results_place(**options)
    with held_lock(results / "daemon.lock", f"db restore, pid {os.getpid()}"):
        done = restore_log(url, file, force=force, seals=seals_path(url, results))
    if as_json:
        emit(dataclasses.asdict(done))
        return
    say(f"restored {done.events:,} events, up to event {done.head_seq:,}, hash {done.head_hash}")
    if done.kept_aside is not None:
        say(f"kept  the log before it: {done.kept_aside}")
    if done.lost_events:
        tell(f"note  that one has {done.lost_events:,} events more than the backup")
    tell("next  trainwright db verify")


@click.command("seal", epilog="Example: trainwright db seal")
@results_option
@json_option
def seal_now(*, as_json: bool, **options: Path | None) -> None:
    """Seal the log up to its last event: its hash goes into a file outside the database.

    The daemon seals by itself, every 10,000 events and with each finished plan.
    """
    url = existing_log(**options)
    place = seals_path(url, results_place(**options))
    made = seal_log(url, place, to_head=True)
    if as_json:
        emit({"path": place, "seals": [_record(one) for one in made]})
        return
    for one in made:
        say(f"sealed events {one.first_seq:,} to {one.last_seq:,}  {one.hash.hex()}")
    say(f"{place}" if made else f"sealed already: {place}")


@click.command(epilog="Example: trainwright db export log.jsonl.gz")
@click.argument("file", type=FILE)
@results_option
@json_option
def export(*, file: Path, as_json: bool, **options: Path | None) -> None:
    """Write the log to FILE, for the other engine: JSON lines, compressed when the name ends in .gz."""
    database = connect(existing_log(**options), readonly=True)
    try:
        require_schema(database)
        made = export_log(database, file)
    finally:
        database.close()
    _tell("exported", made, as_json=as_json)
    if not as_json:
        tell(f"next  TRAINWRIGHT_DATABASE_URL=postgresql://USER@HOST/NAME trainwright db import {file}")


@click.command("import", epilog="Example: trainwright db import log.jsonl.gz")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@results_option
@json_option
def bring_in(*, file: Path, as_json: bool, **options: Path | None) -> None:
    """Take an exported log into an empty one, each event checked; leases are not part of it."""
    url = log_url(**options)
    upgrade(url)
    database = connect(url)
    try:
        made = import_log(database, file)
    finally:
        database.close()
    try:
        seal_log(url, seals_path(url, results_place(**options)))
    except LogDamaged as error:
        tell(f"warning: the seals here are of another log: {error}")
    _tell("imported", made, as_json=as_json)
    if not as_json:
        tell("next  trainwright db verify")


def _tell(done: str, made: Transferred, *, as_json: bool) -> None:
    if as_json:
        emit(dataclasses.asdict(made))
        return
    say(f"{done} {made.events:,} events, {_size(made.size_bytes)}: {made.path}")
    say(f"head  event {made.head_seq:,}, hash {made.head_hash}")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _record(one: Seal) -> dict[str, object]:
    return {
        "first_seq": one.first_seq,
        "last_seq": one.last_seq,
        "hash": one.hash.hex(),
        "sealed_at": iso(moment_of(one.sealed_at)),
    }
