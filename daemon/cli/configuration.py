"""The settings of a command: its options over the environment over the configuration file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.cli.workspace import CONFIG_FILE
from daemon.errors import Fault, SettingsInvalid
from daemon.settings import Settings


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
