"""Write docs/reference from the code: ``python docs/make_reference.py``; ``--check`` only compares.

Commands come from their own help, settings from examples/trainwright.toml (which a test holds to be
complete), events from their records, families from the catalogue, the API from its OpenAPI document.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.lazy import LazyGroup
from daemon.cli.main import cli
from daemon.settings import Settings
from daemon.settings_reading import ONLY_IN_FILE, TABLE
from executors.families import FAMILIES
from store.events import EVENT_TYPES
from store.schema import upgrade

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "trainwright.toml"
MADE = "<!-- Made by docs/make_reference.py: change the code, then run it again. -->"
WIDTH = 100
_SETTING = re.compile(r"^(?:# )?([a-z_]+) = (.+)$")
_SETTINGS_INTRO = """\
# Settings

One TOML file, `trainwright.toml` in the working directory or `--config FILE`. The command line stands
over the environment, that over the file, that over the default. `trainwright config show --origin` says
which one spoke. [examples/trainwright.toml](../../examples/trainwright.toml) is this page as a file.

"""
_EVENTS_INTRO = """\
# Events

What `trainwright events --json`, the API and the stream of the page hand out. Every event has `seq`,
`at`, `kind`, `actor`, `stream`, `version`, `schema_version`, `id`, and `plan`, `job`, `fit`, `attempt`
where they apply; the fields below are those of its `data`. Old events stay as they were written and are
read in the newest form. [The event log](../explanation/event-log.md) says what is promised.

"""
_FAMILIES_INTRO = """\
# Families

`trainwright families` says which can be trained on this machine; what each trains, its paper and its
bundle are in [the explanation of fits](../explanation/executors.md).

| family | stage | tasks | library |
|---|---|---|---|
"""
_API_INTRO = """\
# REST API

The commands over HTTP: the same words, the same documents. The whole description is at
`/api/v1/openapi.json` of a running host, in words at `/api`.

| | path | |
|---|---|---|
"""
_SETTINGS_HEAD = ("| setting | default | in the environment | meaning |", "|---|---|---|---|")
_SECTION = re.compile(r"^\[([a-z._]+)\]$")


def commands() -> str:
    """Return the page of all commands, each with its help as the terminal shows it."""
    lines = [
        "# Commands",
        "",
        "Every command takes `-h`. What each prints with `--json` has a version, `v`.",
        "",
    ]
    root = _context(cli, "trainwright", None)
    lines += _fenced(cli.get_help(root))
    for path, command, context in _commands(cli, root):
        lines += [f"## {path}", "", *_fenced(command.get_help(context))]
    return "\n".join(lines)


def _context(command: click.Command, name: str, above: click.Context | None) -> click.Context:
    width = {"max_content_width": WIDTH, "terminal_width": WIDTH}
    return click.Context(command, info_name=name, parent=above, color=False, **width)


def _commands(group: click.Group, above: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None:
            raise LookupError(name)
        context = _context(command, name, above)
        yield context.command_path, command, context
        if isinstance(command, LazyGroup):
            yield from _commands(command, context)


def settings() -> str:
    """Return the page of all settings by table: default, meaning, and the name in the environment."""
    lines = _SETTINGS_INTRO.splitlines()
    section = ""
    said: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if found := _SECTION.match(line):
            section, said = found[1], []
            lines += [f"## [{section}]", "", *_SETTINGS_HEAD]
        elif section and (found := _SETTING.match(line)):
            default = _default(line, found[2])
            variable = _variable(section, found[1])
            lines.append(f"| `{found[1]}` | {default} | {variable} | {_cell(' '.join(said))} |")
            said = []
        elif line.startswith("# "):
            said.append(line[2:])
        elif not line.strip():
            said = []
            if section and lines[-1]:
                lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _default(line: str, value: str) -> str:
    """Return what the file says or, where that is only an example, the words behind it."""
    if not line.startswith("# "):
        return f"`{_cell(value)}`"
    _, _, words = value.partition("  # ")
    return _cell(words.strip().removeprefix("default: ")) or "none"


def _variable(section: str, name: str) -> str:
    if name in ONLY_IN_FILE:
        return "(a table: only in the file)"
    place = "" if section == TABLE else f"{section.upper().replace('.', '__')}__"
    return f"`TRAINWRIGHT_{place}{name.upper()}`"


def events() -> str:
    """Return the page of all kinds of events: what each says, its version, its fields."""
    lines = _EVENTS_INTRO.splitlines()
    for event in sorted(EVENT_TYPES, key=lambda one: one.kind):
        told = inspect.getdoc(event) or ""
        summary, _, rest = told.partition("\n\n")
        meanings = dict(re.findall(r"^ {4}(\w+): (.+?)(?=\n {4}\w+: |\Z)", rest, re.M | re.S))
        lines += [f"## {event.kind}", "", f"{' '.join(summary.split())} Version {event.schema_version}.", ""]
        fields = dataclasses.fields(event)  # type: ignore[arg-type]
        if fields:
            lines += ["| field | type | meaning |", "|---|---|---|"]
            lines += [
                f"| `{one.name}` | `{_cell(str(one.type))}` | {_cell(meanings.get(one.name, ''))} |"
                for one in fields
            ]
            lines.append("")
    return "\n".join(lines)


def families() -> str:
    """Return the page of the families, in the order of the catalogue."""
    lines = _FAMILIES_INTRO.splitlines()
    lines += [
        f"| {one.name} | {one.stage} | {', '.join(one.tasks)} | {one.library or 'numpy'} |"
        for one in FAMILIES
    ]
    return "\n".join(lines) + "\n"


def api() -> str:
    """Return the page of the API's paths, from its OpenAPI document."""
    from daemon.web.app import create_app  # noqa: PLC0415 (an extra)

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/trainwright.db"
        upgrade(url, create=True)
        document = create_app(
            Settings.from_sources(overrides={"results_dir": folder, "database_url": url})
        ).openapi()
    lines = _API_INTRO.splitlines()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            told = operation.get("summary") or operation.get("description", "")
            lines.append(f"| {verb.upper()} | `{path}` | {_cell(told.splitlines()[0] if told else '')} |")
    lines.append("")
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            lines += _operation(verb, path, operation)
    return "\n".join(lines).rstrip() + "\n"


def _operation(verb: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (
        f"## {verb.upper()} {path}",
        "",
        (operation.get("description") or operation.get("summary", "")).strip(),
        "",
    )
    if parameters := operation.get("parameters"):
        yield from ("| parameter | in | meaning |", "|---|---|---|")
        for one in parameters:
            yield f"| `{one['name']}` | {one['in']} | {_cell(one.get('description', ''))} |"
        yield ""


def _fenced(text: str) -> list[str]:
    return ["```text", *(line.rstrip() for line in text.splitlines()), "```", ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "settings.md": settings,
    "events.md": events,
    "families.md": families,
    "api.md": api,
}


def pages(names: Iterable[str] = PAGES) -> dict[str, str]:
    """Return the pages of the reference, name -> text."""
    return {name: f"{MADE}\n\n{PAGES[name]().strip()}\n" for name in names}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or say which are not as the code is; returns the exit code."""
    parser = argparse.ArgumentParser(description="the reference, made from the code")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a page is another")
    check = parser.parse_args(arguments).check
    folder = HERE / "reference"
    stale = []
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    print(f"{'not as the code is' if check else 'written'}: {', '.join(stale) or 'none'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
