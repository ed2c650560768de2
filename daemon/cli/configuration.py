"""The settings of a command: its options over the environment over the configuration file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.workspace import CONFIG_FILE
from daemon.errors import Fault, SettingsInvalid
from daemon.settings import Settings
from daemon.sources import Configuration, configuration
from daemon.toml_lines import key_lines

Command = TypeVar("Command", bound=Callable[..., Any])


def set_option(command: Command) -> Command:
    """Add the repeatable ``--set SECTION.KEY=VALUE`` to a command; its parameter is ``assignments``."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="A setting, over all other sources; may be repeated. The value is TOML, words may go bare.",
    )(command)


def configuration_for(
    config: Path | None = None,
    *,
    assignments: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Configuration:
    """All settings with their sources: ``--set`` over options over environment over file over defaults.

    Raises:
        SettingsInvalid: names every fault.
    """
    text, table, source = _file(config)
    return configuration(
        table,
        source=source,
        lines=key_lines(text),
        environ=os.environ,
        overrides=overrides,
        assignments=assignments,
    )


def settings_for(config: Path | None = None, **overrides: object) -> Settings:
    """The settings of the host: a command's options over the environment over the file over the defaults.

    Raises:
        SettingsInvalid: names every fault.
    """
    return configuration_for(config, overrides=overrides).settings


def _file(config: Path | None) -> tuple[str, Mapping[str, Any], str]:
    """The text of the configuration file, what it says, and its name."""
    path = config or CONFIG_FILE
    if config is None and not path.exists():
        return "", {}, "configuration"
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text), str(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fault = Fault(
            place=str(path), problem=f"cannot be read: {error}", fix="correct the file or name another"
        )
        raise SettingsInvalid([fault]) from error
