"""``trainwright families``: the catalogue, and what is usable on this machine."""

from __future__ import annotations

import click

from daemon.cli.screen import emit, say, table
from executors.families import FAMILIES, Family, availability


@click.command(epilog="Example: trainwright families")
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of the table.")
def families(*, as_json: bool) -> None:
    """List the 20 model families: stage, tasks, library, and whether they can be trained here."""
    if as_json:
        emit({"families": [_document(family) for family in FAMILIES]})
        return
    rows = [
        (family.name, family.stage, ", ".join(family.tasks), family.library or "-", _usable(family))
        for family in FAMILIES
    ]
    say(table(("family", "stage", "tasks", "library", "usable here"), rows))


def _usable(family: Family) -> str:
    reason = availability(family)
    return "yes" + (", resumable" if family.resumable else "") if reason is None else f"no: {reason}"


def _document(family: Family) -> dict[str, object]:
    reason = availability(family)
    return {
        "name": family.name,
        "stage": family.stage,
        "tasks": list(family.tasks),
        "library": family.library,
        "available": reason is None,
        "reason": reason,
        "resumable": family.resumable,
        "device": "cuda" if family.stage == "gpu" else "cpu",
    }
