"""``trainwright config show``: every setting as it holds, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.configuration import configuration_for, set_option
from daemon.cli.lazy import LazyGroup
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from daemon.errors import DaemonError
from daemon.settings_reading import TABLE
from daemon.sources import Setting
from planner.config import SECTIONS
from planner.config_text import nearest_key

COMMANDS = {"show": ("daemon.cli.configuring:show", "every setting, and where it comes from")}


class NoSetting(DaemonError):
    """A setting or section that was asked for is none."""

    exit_code = 4

    def __init__(self, name: str, near: str | None) -> None:
        fix = f"did you mean {near}?" if near else "see all of them: trainwright config show"
        super().__init__(f"there is no setting {name!r}", where="trainwright config show", fix=fix)


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog="Example: trainwright config show --origin")
def config() -> None:
    """Show the configuration: one file, the environment and the command line together."""


@click.command(epilog="Example: trainwright config show routing --origin --set routing.min_score=0.02")
@click.argument("names", nargs=-1, metavar="[SECTION|SECTION.KEY]...")
@click.option("--origin", "with_origin", is_flag=True, help="Say which source each setting comes from.")
@set_option
@results_option
@json_option
def show(
    *,
    names: tuple[str, ...],
    with_origin: bool,
    assignments: tuple[str, ...],
    config: Path | None,
    results_dir: Path | None,
    as_json: bool,
) -> None:
    """Print every setting with its value: command line over TRAINWRIGHT_* over file over default.

    In the environment a setting is TRAINWRIGHT_SECTION__KEY; those of [daemon] need no section.
    """
    found = configuration_for(config, assignments=assignments, overrides={"results_dir": results_dir})
    settings = _chosen(found.listed(), names)
    if as_json:
        emit({"settings": [_document(setting) for setting in settings]})
        return
    rows = [
        (setting.key, _written(setting.value), *((setting.origin.words,) if with_origin else ()))
        for setting in settings
    ]
    headers = ("setting", "value", "from") if with_origin else ("setting", "value")
    say(table(headers, rows, shrink="value"))


def _chosen(settings: Sequence[Setting], names: Sequence[str]) -> list[Setting]:
    """The settings named, whole sections or single ones; all when none is named.

    Raises:
        NoSetting: a name that is neither.
    """
    wanted = set(names)
    chosen = [row for row in settings if not names or {row.key, row.key.partition(".")[0]} & wanted]
    known = {setting.key for setting in settings} | {TABLE, *SECTIONS}
    for name in names:
        if name not in known:
            raise NoSetting(name, nearest_key(name, [*SECTIONS, TABLE, *sorted(known)]))
    return chosen


def _document(setting: Setting) -> dict[str, object]:
    origin = {"kind": setting.origin.kind, "place": setting.origin.place or None}
    return {"key": setting.key, "value": setting.value, "origin": origin}


def _written(value: object) -> str:
    """A value as it would be written in the file, as near as one line allows; a dash for none."""
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
