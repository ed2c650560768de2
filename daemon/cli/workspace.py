"""Where a command works: settings, configuration file, event log. Light: reading commands start here."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.errors import DaemonError, Fault, SettingsInvalid
from daemon.settings import Settings
from store.reading import Reader, open_reader

CONFIG_FILE = Path("trainwright.toml")
Command = TypeVar("Command", bound=Callable[..., Any])


class NoLogHere(DaemonError):
    """There is no event log where one was looked for."""

    exit_code = 4

    def __init__(self, url: str) -> None:
        super().__init__(
            "there is no event log here yet",
            where=url,
            fix="start with `trainwright demo`, or name the place with --results-dir or -C",
        )


def results_option(command: Command) -> Command:
    """Add ``--results-dir`` and ``--config`` to a command."""
    results = click.option(
        "--results-dir", type=click.Path(path_type=Path), help="Where the event log lies; default results."
    )
    return results(config_option(command))


def config_option(command: Command) -> Command:
    """Add ``--config`` to a command."""
    option = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file; default trainwright.toml.",
    )
    return option(command)


def json_option(command: Command) -> Command:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="A versioned JSON document on stdout.")(
        command
    )


def config_table(config: Path | None) -> tuple[Mapping[str, Any], str]:
    """The parsed configuration file and its name; empty when none was named and none lies here.

    Raises:
        SettingsInvalid: the named file is missing or is no TOML.
    """
    path = config or CONFIG_FILE
    if config is None and not path.exists():
        return {}, "configuration"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), str(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fault = Fault(
            place=str(path), problem=f"cannot be read: {error}", fix="correct the file or name another"
        )
        raise SettingsInvalid([fault]) from error


def settings_for(config: Path | None = None, **overrides: object) -> Settings:
    """The settings of a command: its options over the environment over the file over the defaults.

    Raises:
        SettingsInvalid: names every fault.
    """
    table, source = config_table(config)
    return Settings.from_sources(table, os.environ, overrides, source=source)


def reader_for(settings: Settings) -> Reader:
    """The read side of the event log.

    Raises:
        NoLogHere: nothing was recorded there yet.
    """
    url = settings.database_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise NoLogHere(url)
    return open_reader(url)
