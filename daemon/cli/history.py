"""Looking back: the moments that people mean, and a reader of the store as it was at one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.workspace import existing_log
from daemon.views.words import moment as shown
from store.reading import Reader, open_reader

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A reader, and where in the log it stands: None for the present."""

    reader: Reader
    seq: int | None = None
    at: datetime | None = None

    @property
    def words(self) -> str:
        """Where it stands, in words."""
        return f"as it was behind event {self.seq:,}, {shown(self.at)}"

    @property
    def document(self) -> dict[str, Any]:
        """Where it stands, for a JSON document; nothing of the present."""
        return {} if self.seq is None else {"as_of": {"seq": self.seq, "at": self.at}}


def at_option(command: Command) -> Command:
    """Add ``--at`` to a command."""
    option = click.option("--at", help="As it was then: a time (ISO 8601) or an age such as -2h, 30m, 1d.")
    return option(command)


@contextmanager
def looking(
    *,
    at: str | Path | None = None,
    config: str | Path | None = None,
    results_dir: str | Path | None = None,
) -> Iterator[Look]:
    """Yield a reader of the present, or of the past where ``--at`` was given.

    Raises:
        NotFound: nothing had been recorded by then.
    """
    url = existing_log(*(None if place is None else Path(place) for place in (config, results_dir)))
    moment = meant(None if at is None else str(at), "--at")
    if moment is None:
        with open_reader(url) as reader:
            yield Look(reader=reader)
        return
    past = import_module("store.history").past(url, moment)  # the fold, which the present does not need
    with past.reader as reader:
        yield Look(reader=reader, seq=past.seq, at=past.at)


def meant(words: str | None, option: str) -> datetime | None:
    """Return the moment that an option's words mean.

    Raises:
        click.BadParameter: neither a time nor an age.
    """
    if words is None:
        return None
    age = words.removeprefix("-")
    if age[-1:] in UNITS and age[:-1].isdigit():
        return datetime.now(UTC) - timedelta(**{UNITS[age[-1]]: int(age[:-1])})
    try:
        moment = datetime.fromisoformat(words)
    except ValueError as error:
        problem = f"{words!r} is neither a time nor an age such as 10m"
        raise click.BadParameter(problem, param_hint=option) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
