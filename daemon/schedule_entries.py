"""What the daemon does at certain times, as the configuration says it: ``[daemon.schedule.NAME]``.

Each entry has `cron` and `do`. A plan takes `arguments` of ``trainwright plan make``, a backup `to` and
`keep`, archive and retain `older_than`. All may have `catch_up` (run at the start what was missed meanwhile)
and `seconds_max`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon import readers
from daemon.crontab import Crontab, crontab_of

PLAN, BACKUP, ARCHIVE, RETAIN, VERIFY = "plan", "backup", "archive", "retain", "verify"
RINGS = ("rescan", "rescue", "seal")  # what the daemon does itself, at once
DEEDS = (PLAN, BACKUP, ARCHIVE, RETAIN, VERIFY, *RINGS)
KEEP = 7
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_AGE = re.compile(r"\d{1,6}[mhdw]")
_EVERYWHERE = ("cron", "do", "catch_up", "seconds_max")
_OWN = {PLAN: ("arguments",), BACKUP: ("to", "keep"), ARCHIVE: ("older_than",), RETAIN: ("older_than",)}
_NOT_TO_PLAN = ("--output-dir", "--config", "--dry-run", "--json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        do: one of `DEEDS`.
        arguments: of ``plan make``.
        to: the folder of backups; None: the one of `db backup`.
        keep: how many backups of this entry stay.
        older_than: which plans are archived, such as 90d.
        catch_up: whether a run that was missed while no daemon worked is made up for at the start.
        seconds_max: after which a run is ended; None: never.
    """

    name: str
    crontab: Crontab
    do: str
    arguments: tuple[str, ...] = ()
    to: Path | None = None
    keep: int = KEEP
    older_than: str = ""
    catch_up: bool = False
    seconds_max: float | None = None


def read_schedule(value: object) -> dict[str, dict[str, Any]]:
    """Return what is done when, by name, as it is written; raises ValueError, TypeError."""
    tables = readers.schedule(value)
    entries_of(tables)
    return tables


def entries_of(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Return all entries; raises ValueError with the name of the first that cannot be, and what to write."""
    entries = []
    for name, table in tables.items():
        try:
            entries.append(_entry(name, table))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return tuple(entries)


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has letters, digits, - and _, 40 at most")
    deed = readers.one_of(*DEEDS)(table.get("do"))
    known = (*_EVERYWHERE, *_OWN.get(deed, ()))
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            fix = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise ValueError(f"unknown key {key!r} of do = {deed!r}; {fix}")
    return Entry(
        name=name,
        crontab=crontab_of(readers.text(table.get("cron"))),
        do=deed,
        arguments=_arguments(table.get("arguments", ())),
        to=readers.path(table["to"]) if "to" in table else None,
        keep=readers.count(1, 10_000)(table.get("keep", KEEP)),
        older_than=_age(table.get("older_than")) if "older_than" in known else "",
        catch_up=readers.switch(table.get("catch_up", False)),
        seconds_max=readers.number(1, 10**7)(table["seconds_max"]) if "seconds_max" in table else None,
    )


def _arguments(value: object) -> tuple[str, ...]:
    words = readers.argument_list(value) if value != () else ()
    for word in words:
        if word.partition("=")[0] in _NOT_TO_PLAN:
            raise ValueError(f"{word} cannot be given here: the plan is made in the daemon's own results")
    return words


def _age(value: object) -> str:
    if not isinstance(value, str) or not _AGE.fullmatch(value):
        raise ValueError('older_than is needed: write "90d", "12h" or "8w"')
    return value
