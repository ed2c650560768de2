"""``trainwright service``: the training host as a service of systemd, installed, looked at and removed."""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import click
from click.core import ParameterSource

import daemon as package
from daemon.cli.screen import emit, say, tell
from daemon.cli.servicing_notes import lacks_credential, notes_on
from daemon.cli.workspace import json_option
from daemon.installing import KEPT, REMOVED, UNCHANGED, Change, Installation, below
from daemon.systemd_tools import run_tool, show_tool, try_tool
from daemon.units import (
    ACCOUNT,
    FOLDER,
    SERVICE,
    VARIANTS,
    Place,
    ServiceImpossible,
    UnitFile,
    enabled_units,
    needed_paths,
    read_config,
    unit_files,
)

RECORD = PurePosixPath("/etc/trainwright/service.json")
FOUND, NOT_INSTALLED, NOT_RUNNING = 0, 4, 5
_SHOWN = (
    "LoadState", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result", "ExecMainStatus",
    "ActiveEnterTimestamp", "MemoryCurrent", "TasksCurrent", "UnitFileState", "DropInPaths",
)  # fmt: skip

INSTALL = """Write units for this environment, make account and folders, enable and start the service.

\b
Variants:  network    the event log or a webhook lies on another machine; name it: --allow ADDRESS
           postgres   network, with the log's address in /etc/credstore/trainwright.database-url
           gpu        GPUs of NVIDIA
           on-demand  the host runs only while there is work
"""

user_option = click.option("--user", "for_user", is_flag=True, help="A service of your own, without root.")
root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    help="The machine is an image that lies in DIR.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")


@click.group(epilog="Example: trainwright service status")
def service() -> None:
    """Have systemd start the training host, watch it, back up its log, and start it anew when it fails."""


@service.command(help=INSTALL, epilog="Example: trainwright service install --data-dir /srv/bars")
@user_option
@click.option("--variant", "variants", type=click.Choice(VARIANTS), multiple=True, help="May be repeated.")
@click.option("--allow", "addresses", metavar="ADDRESS", multiple=True, help="May be spoken to; or: any.")
@click.option("--data-dir", "data", type=click.Path(path_type=Path), multiple=True, help="To be readable.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help=f"Where it works; default {FOLDER}.")
@click.option("--account", default=ACCOUNT, help=f"Who it runs as; default {ACCOUNT}.")
@click.option("--no-backup", is_flag=True, help="Do not back up the event log each night.")
@click.option("--no-start", is_flag=True, help="Leave the start to you, or to the next boot.")
@click.option("--force", is_flag=True, help="Replace files that were changed by hand; kept as *.saved.")
@root_option
@dry_run_option
@click.pass_context
def install(
    ctx: click.Context,
    /,
    *,
    for_user: bool,
    no_start: bool,
    force: bool,
    root: Path,
    dry_run: bool,
    **asked: Any,  # noqa: ANN401 (the other options, as _place has them)
) -> None:
    """Write the units, make account and folders, enable and start."""
    home = _home() if for_user else None
    installation = Installation(_record(home), root=root)
    asked = _asked_before(ctx, installation, asked)
    place = _place(home=home, **asked)
    config = below(root, place.config)
    said = read_config(config.read_text(encoding="utf-8") if config.exists() else "", str(config))
    place = needed_paths(said, place)
    files = [_with_data(file, asked["data"]) for file in unit_files(place)]
    if dry_run:
        _show_plan(installation, files, place, force=force)
        return
    _require_right(root, for_user=for_user)
    changes = installation.planned(files, force=force)
    _disable([change.path for change in changes if change.what == REMOVED], root, for_user=for_user)
    links = (place.folder / place.config.name,) if home is None else ()
    installation.write(files, units=enabled_units(place), links=links, asked=asked, force=force)
    _tell_changes(changes)
    for note in notes_on(place, said, root):
        tell(f"note  {note}")
    _make_places(place, root)
    start = not (no_start or lacks_credential(place, root))
    _enable(place, root, start=start, changed={change.what for change in changes} - {UNCHANGED, KEPT})


@service.command(epilog="Example: trainwright service remove --dry-run")
@user_option
@root_option
@dry_run_option
def remove(*, for_user: bool, root: Path, dry_run: bool) -> None:
    """Stop the service and take away what `install` wrote; data, accounts and your own changes stay."""
    installation = Installation(_record(_home() if for_user else None), root=root)
    changes = installation.ending()
    if not dry_run:
        _require_right(root, for_user=for_user)
        _disable([PurePosixPath(unit) for unit in installation.record.units], root, for_user=for_user)
        installation.remove()
        if root == Path("/"):
            run_tool(*_systemctl(for_user=for_user), "daemon-reload")
            try_tool(*_systemctl(for_user=for_user), "reset-failed", SERVICE)
    _tell_changes(changes)
    if any(change.what == KEPT for change in changes):
        tell("note  what is kept was changed by hand and is yours")
    tell("note  plans, models, the event log and the account stay")


@service.command(epilog="Example: trainwright service status --json")
@user_option
@json_option
def status(*, for_user: bool, as_json: bool) -> None:
    """Say whether the service runs, since when, with how much, and whether its files are as installed."""
    asked = f"--property={','.join(_SHOWN)}"
    lines = try_tool(*_systemctl(for_user=for_user), "show", SERVICE, asked).splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    installation = Installation(_record(_home() if for_user else None))
    changed = [str(path) for path in installation.changed_by_hand()]
    state = found.get("ActiveState", "unknown")
    if as_json:
        emit({"unit": SERVICE, "properties": found, "changed_by_hand": changed})
    else:
        _say_status(found, changed, installed=installation.exists)
    if found.get("LoadState") != "loaded":
        raise SystemExit(NOT_INSTALLED)
    raise SystemExit(FOUND if state in ("active", "reloading") else NOT_RUNNING)


@service.command(epilog="Example: trainwright service logs --errors --since yesterday")
@user_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--lines", type=click.IntRange(min=1), default=100, help="The last N; default 100.")
@click.option("--since", metavar="TIME", help='As journalctl has it: "1 hour ago", yesterday, 2026-01-02.')
@click.option("--errors", is_flag=True, help="Only warnings and errors.")
def logs(*, for_user: bool, follow: bool, lines: int, since: str | None, errors: bool) -> None:
    """Show what the service says in the journal."""
    command = ["journalctl", *(("--user",) if for_user else ()), f"--unit={SERVICE}", f"--lines={lines}"]
    command += [*(("--follow",) if follow else ()), *((f"--since={since}",) if since else ())]
    raise SystemExit(show_tool(*command, *(("--priority=warning",) if errors else ())))


def _asked_before(ctx: click.Context, installation: Installation, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options in plain values; where none is given those of the last time, as after an update."""
    given = [name for name in asked if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    before = installation.record.asked
    if not given and set(before) == set(asked):
        return before
    plain = {
        name: str(_absolute(value)) if isinstance(value, Path) else value for name, value in asked.items()
    }
    return plain | {"data": [str(_absolute(path)) for path in asked["data"]]}


def _place(
    *,
    home: PurePosixPath | None,
    data: Sequence[str],
    variants: Sequence[str],
    addresses: Sequence[str],
    folder: str | None,
    account: str,
    no_backup: bool,
) -> Place:
    """Where the service shall work, from the options and from where this command runs."""
    return Place(
        program=_program(),
        folder=_folder(folder, home),
        account=account,
        group=_group(account),
        variants=frozenset(variants),
        addresses=tuple(addresses),
        shown=(*_own_paths(), *(PurePosixPath(path) for path in data)),
        backup=not no_backup,
        home=home,
    )


def _program() -> PurePosixPath:
    """The command of this environment; raises ServiceImpossible."""
    program = Path(sys.prefix) / "bin" / "trainwright"
    if not program.exists():
        raise ServiceImpossible(
            "the command is not in this environment", where=str(program), fix="install Trainwright into one"
        )
    return PurePosixPath(program)


def _home() -> PurePosixPath:
    """Where the person keeps their configuration."""
    return PurePosixPath(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())


def _folder(given: str | None, home: PurePosixPath | None) -> PurePosixPath:
    if given is not None:
        return PurePosixPath(given)
    if home is None:
        return FOLDER
    return (
        PurePosixPath(os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()) / "trainwright"
    )


def _record(home: PurePosixPath | None) -> PurePosixPath:
    return RECORD if home is None else home / "trainwright" / RECORD.name


def _absolute(path: Path) -> PurePosixPath:
    return PurePosixPath(os.path.abspath(path.expanduser()))  # noqa: PTH100 (resolve() would follow links)


def _own_paths() -> tuple[PurePosixPath, ...]:
    """Where this command's own environment, its Python and its code lie, links followed as well."""
    places = [Path(sys.prefix), Path(sys.base_prefix), Path(str(package.__file__)).parents[1]]
    found = [PurePosixPath(form) for place in places for form in (place.absolute(), place.resolve())]
    return tuple(dict.fromkeys(found))


def _group(account: str) -> str:
    """The first group of an account; one that is made with the service gets a group of its name."""
    try:
        return grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name
    except KeyError:
        return account


def _with_data(file: UnitFile, data: Sequence[str]) -> UnitFile:
    """The first configuration with the data's place in it."""
    if not file.yours or not data:
        return file
    text = file.text.replace('# data_dir = "/srv/bars"', f'data_dir = "{data[0]}"')
    return dataclasses.replace(file, text=text)


def _show_plan(installation: Installation, files: Sequence[UnitFile], place: Place, *, force: bool) -> None:
    """Print each file as it would be written, and what would be enabled."""
    for file in files:
        say(f"# {file.path}\n{file.text}")
    _tell_changes(installation.planned(files, force=force))
    tell(f"enable     {', '.join(enabled_units(place))}")


def _tell_changes(changes: Sequence[Change]) -> None:
    for change in changes:
        tell(f"{change.what:<10} {change.path}")


def _require_right(root: Path, *, for_user: bool) -> None:
    if not for_user and root == Path("/") and os.geteuid() != 0:
        raise ServiceImpossible(
            "a service of the whole machine is installed by root",
            where="trainwright service",
            fix=f"sudo {sys.prefix}/bin/trainwright service ..., or --user for one of your own",
        )


def _systemctl(*, for_user: bool, root: Path = Path("/")) -> tuple[str, ...]:
    image = () if root == Path("/") else (f"--root={root}",)
    return ("systemctl", *(("--user",) if for_user else ()), *image)


def _disable(paths: Sequence[PurePosixPath], root: Path, *, for_user: bool) -> None:
    """Stop units and take them out of the boot; what is not known is no matter."""
    units = [path.name for path in paths if path.suffix in (".service", ".socket", ".timer", ".path")]
    if units:
        now = ("--now",) if root == Path("/") else ()
        try_tool(*_systemctl(for_user=for_user, root=root), "disable", *now, *units)


def _make_places(place: Place, root: Path) -> None:
    """Make account and folders; who is not root and fills an image leaves that to the image's boot."""
    if place.home is not None:
        Path(place.inbox or place.folder / "inbox").mkdir(mode=0o700, parents=True, exist_ok=True)
    elif os.geteuid() == 0:
        image = () if root == Path("/") else (f"--root={root}",)
        run_tool("systemd-sysusers", *image, "trainwright.conf")
        run_tool("systemd-tmpfiles", *image, "--create", "trainwright.conf")
    else:
        tell("note  account and folders are made when the image boots")


def _enable(place: Place, root: Path, *, start: bool, changed: Collection[str]) -> None:
    """Have systemd know, enable and start the units."""
    units, for_user = enabled_units(place), place.home is not None
    systemctl = _systemctl(for_user=for_user, root=root)
    run_tool(*systemctl, "enable", *units)
    tell(f"enabled    {', '.join(units)}")
    if root != Path("/"):
        return
    run_tool(*systemctl, "daemon-reload")
    runs = try_tool(*systemctl, "is-active", SERVICE).strip() == "active"
    if start:
        run_tool(*systemctl, "start", *units)
        tell(f"started    {', '.join(units)}")
    if runs and changed:
        tell(f"note  it still runs as it was; in a quiet hour: {' '.join(systemctl)} restart trainwright")
    tell(f"next  trainwright service status{' --user' if for_user else ''}")


def _say_status(found: dict[str, str], changed: Sequence[str], *, installed: bool) -> None:
    """Print the service's state in a few lines."""
    if found.get("LoadState") != "loaded":
        say(f"{SERVICE}  is not installed: sudo {sys.prefix}/bin/trainwright service install")
        return
    since = f" since {found['ActiveEnterTimestamp']}" if found.get("ActiveEnterTimestamp") else ""
    state = f"{found.get('ActiveState')} ({found.get('SubState')}){since}, {found.get('UnitFileState')}"
    say(f"{SERVICE}  {state}")
    if found.get("StatusText"):
        say(f"at work    {found['StatusText']}")
    if found.get("MainPID", "0") != "0":
        memory = found.get("MemoryCurrent", "")
        size = f", {int(memory) / 2**20:,.0f} MiB" if memory.isdigit() and int(memory) < 2**60 else ""
        tasks = found.get("TasksCurrent", "")
        many = f", {tasks} tasks and threads" if tasks.isdigit() else ""
        say(f"process    {found['MainPID']}{size}{many}")
    if found.get("Result") not in ("success", None) or found.get("NRestarts", "0") != "0":
        result = f"{found.get('Result')}, exit {found.get('ExecMainStatus')}"
        say(f"restarts   {found.get('NRestarts')}; last end: {result}; trainwright service logs --errors")
    for path in found.get("DropInPaths", "").split():
        say(f"drop-in    {path}")
    for path in changed:
        say(f"changed    {path}")
    if not installed:
        say("files      not by `service install`")
