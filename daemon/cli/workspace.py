"""Where a command works: configuration file and event log. Light: reading commands start here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.errors import DaemonError
from store.reading import Reader, open_reader

CONFIG_FILE = Path("trainwright.toml")
ENVIRONMENT_PREFIX = "TRAINWRIGHT_"
DATABASE_VARIABLE = "TRAINWRIGHT_DATABASE_URL"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # daemon.credentials says more, and loads more
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


class LogForbidden(DaemonError):
    """The event log is somebody else's, and this account may not read it."""

    exit_code = 5

    def __init__(self, url: str) -> None:
        super().__init__(
            "the event log may not be read by this account",
            where=url,
            fix="ask as the host: sudo -u trainwright trainwright -C /var/lib/trainwright status",
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


def log_url(config: Path | None = None, results_dir: Path | None = None) -> str:
    """The URL of the event log, whether it is there or not.

    Where neither a file nor the environment says anything it follows from the results directory alone, where
    the environment names it and says nothing else it is that; then the settings, with the planner's below
    them, are not loaded: a reading command has no time for that.

    Raises:
        SettingsInvalid: the file or the environment has faults.
    """
    told = {name for name in os.environ if name.startswith((ENVIRONMENT_PREFIX, CREDENTIALS_VARIABLE))}
    named = os.environ.get(DATABASE_VARIABLE)
    if config is None and named and told == {DATABASE_VARIABLE} and not CONFIG_FILE.exists():
        return named
    if config is None and not told and not CONFIG_FILE.exists():
        results = os.path.abspath((results_dir or Path("results")).expanduser())  # noqa: PTH100 (links stay)
        return f"sqlite:///{results}/trainwright.db"
    from daemon.cli.configuration import settings_for  # noqa: PLC0415 (half the time of a reading command)

    return settings_for(config, results_dir=results_dir).database_url


def results_place(config: Path | None = None, results_dir: Path | None = None) -> Path:
    """The results directory, absolute, beside which the log's seals, backups and archives lie.

    Raises:
        SettingsInvalid: the file or the environment has faults.
    """
    from daemon.cli.configuration import settings_for  # noqa: PLC0415 (as above)

    return settings_for(config, results_dir=results_dir).results_dir


def existing_log(config: Path | None = None, results_dir: Path | None = None) -> str:
    """The URL of the event log.

    Raises:
        NoLogHere: nothing was recorded there yet.
        LogForbidden: this account may not look.
    """
    url = log_url(config, results_dir)
    try:
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
            raise NoLogHere(url)
    except PermissionError as error:
        raise LogForbidden(url) from error
    return url


def reader_for(config: Path | None = None, results_dir: Path | None = None) -> Reader:
    """The read side of the event log.

    Raises:
        NoLogHere: nothing was recorded there yet.
        LogForbidden: this account may not look.
    """
    return open_reader(existing_log(config, results_dir))
