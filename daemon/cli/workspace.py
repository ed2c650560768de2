"""Where a command works: configuration file and event log. Light: reading commands start here."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.screen import paint, tell
from daemon.elsewhere import settle
from daemon.errors import DaemonError
from store.reading import Reader, open_reader

CONFIG_FILE = Path("trainwright.toml")
ENVIRONMENT_PREFIX = "TRAINWRIGHT_"
TABLE, PLACES = "daemon", ("database_url", "results_dir")  # where the log lies, in file and environment
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

    Only what says where the log lies is read here, and nothing else is checked: a reading command has no time
    for all settings, and a fault in another one is no reason not to tell how things stand. Where there is no
    log at the place, or the place itself is said wrongly, all settings are read, which names the fault.

    Raises:
        SettingsInvalid: the file or the environment has faults.
    """
    said = _said(config)
    url = None if said is None else _url_said(said, results_dir)
    return str(_settings(config, results_dir).database_url) if url is None else url


def _said(config: Path | None) -> dict[str, object] | None:
    """What file and environment say of the log's place, the environment first; None where that is not plain.

    A file that cannot be read is told and passed over.
    """
    if os.environ.get(CREDENTIALS_VARIABLE):
        return None
    said: dict[str, object] = {}
    path = config or CONFIG_FILE
    if config is not None or path.exists():
        tomllib = import_module("tomllib")  # only where there is a file
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE, {})
            said = {name: table[name] for name in PLACES if name in table}
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
            tell(f"{paint('warning:', 'wait')} {path} cannot be read and is passed over: {error}")
    for name in PLACES:
        told = [os.environ[key] for key in _variables(name) if key in os.environ]
        if len(told) > 1:
            return None
        if told:
            said[name] = told[0]
    return said


def _variables(name: str) -> tuple[str, str]:
    return f"{ENVIRONMENT_PREFIX}{name.upper()}", f"{ENVIRONMENT_PREFIX}{TABLE.upper()}__{name.upper()}"


def _url_said(said: dict[str, object], results_dir: Path | None) -> str | None:
    """The URL that follows from what is said; None where it is no word, or nothing lies there."""
    url, place = said.get("database_url"), said.get("results_dir", "results")
    if url is not None:
        return url if isinstance(url, str) and url and not url.startswith("memory:") else None
    if not isinstance(place, str) or not place:
        return None
    results = os.path.abspath((results_dir or Path(place)).expanduser())  # noqa: PTH100 (links stay)
    try:
        is_there = Path(results, "trainwright.db").exists()
    except PermissionError:
        is_there = True
    return f"sqlite:///{results}/trainwright.db" if is_there else None


def _settings(config: Path | None, results_dir: Path | None) -> Any:  # noqa: ANN401 (Settings, not loaded)
    """All settings; raises SettingsInvalid."""
    from daemon.cli.configuration import settings_for  # noqa: PLC0415 (half the time of a reading command)

    return settings_for(config, results_dir=results_dir)


def results_place(config: Path | None = None, results_dir: Path | None = None) -> Path:
    """The results directory, absolute, beside which the log's seals, backups and archives lie.

    Raises:
        SettingsInvalid: the file or the environment has faults.
    """
    return Path(_settings(config, results_dir).results_dir)


def existing_log(config: Path | None = None, results_dir: Path | None = None) -> str:
    """The URL of the event log.

    Raises:
        NoLogHere: nothing was recorded there yet.
        LogForbidden: this account may not look.
    """
    url = log_url(config, results_dir)
    settle(lambda: _settings(config, results_dir))
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
