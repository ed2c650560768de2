"""``trainwright hosts``: the training hosts that share this log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.lazy import LazyGroup
from daemon.cli.screen import Tone, emit, paint, say, table, wrapped
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.host_words import SILENT, WORKING, hosts_told
from daemon.views.hosts import host_documents
from daemon.views.waiting import Watch
from daemon.views.words import counted, moment, span

TONES: dict[str, Tone] = {
    "up": "good", "gone": "bad", "silent": "bad", "draining": "wait", "drained": "wait", "stopped": "faint",
    "removed": "faint",
}  # fmt: skip
COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("daemon.cli.hosts:ls", "each host: how it stands, its places and labels, what runs there"),
    "drain": ("daemon.cli.host_changing:drain", "let a host claim nothing more; --undo lets it again"),
    "remove": ("daemon.cli.host_changing:remove", "forget a host that is gone for good"),
}
HEADERS = ("host", "state", "since", "seen", "cpu", "gpu", "labels", "running", "version", "note")
MAY_BE_LEFT_OUT = frozenset(("seen", "labels"))  # where no host has any
TO_DO = {"gone": "gone without a word; start it: trainwright daemon", "silent": f"not heard of: {SILENT}"}


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog="Example: trainwright hosts ls")
def hosts() -> None:
    """List the training hosts that share this log, let one drain, remove one."""


@click.command(epilog="Example: trainwright hosts ls")
@click.option("--all", "everything", is_flag=True, help="Those that were removed too.")
@results_option
@json_option
def ls(*, everything: bool, as_json: bool, **options: Path | None) -> None:
    """List the hosts that work on this log, with what each has and does; SEEN is the last sign of life."""
    with reader_for(**options) as reader:
        watch = Watch(reader)
        wanted = [row for row in watch.hosts if everything or row.removed_at is None]
        documents = host_documents(reader, watch, hosts_told(reader, wanted))
    removed = len(watch.hosts) - len(wanted)
    if as_json:
        emit({"at": watch.now, "hosts": documents, "removed": removed})
        return
    if documents:
        rows = [_row(document, watch) for document in documents]
        columns = dict(zip(HEADERS, zip(*rows, strict=True), strict=True))
        shown = {name: told for name, told in columns.items() if name not in MAY_BE_LEFT_OUT or any(told)}
        lines = zip(*shown.values(), strict=True)
        right = ("cpu", "gpu", "running")
        say(table(tuple(shown), lines, right=right, shrink="note", tones={"state": TONES}))
        _say_what_to_do(documents)
    elif not removed:
        say("no host has worked on this log yet: trainwright daemon")
    if removed:
        say(f"{counted(removed, 'host')} removed: trainwright hosts ls --all")


def _say_what_to_do(documents: Sequence[dict[str, Any]]) -> None:
    for state, words in TO_DO.items():
        names = [str(told["host"]) for told in documents if told["standing"] == state]
        if names:
            say(wrapped(paint(state, TONES[state]), f"{', '.join(names)}: {words}"))
    lacking: dict[str, list[str]] = {}
    for told in documents:
        if told["trouble"] and told["standing"] in WORKING:
            lacking.setdefault(told["trouble"], []).append(told["host"])
    for words, names in lacking.items():
        say(wrapped(paint("trouble", "bad"), f"{', '.join(names)}: {words}; trainwright doctor there"))


def _row(told: dict[str, Any], watch: Watch) -> tuple[object, ...]:
    state = told["standing"]
    is_working = state in WORKING
    drained = f"drains: {told['draining']}" if told["draining"] else ""
    paused = "; ".join(told["pauses"])
    return (
        told["host"],
        state,
        moment(told["removed_at"] or told["stopped_at"])
        if state in ("stopped", "removed")
        else _ago(told["started_at"], watch),
        _ago(told["beat_at"], watch) if told["beat_at"] and state not in ("stopped", "removed") else None,
        told["cpu_slots"],
        told["gpu_slots"],
        ",".join(told["labels"]) or None,
        sum(told["running"].values()) if is_working else None,
        told["version"],
        "; ".join(
            filter(
                None,
                (told["cause"] if state == "stopped" else "", drained, f"paused: {paused}" if paused else ""),
            )
        ),
    )


def _ago(then: Any, watch: Watch) -> str:  # noqa: ANN401 (a moment of a document)
    return span(max(0.0, (watch.now - then).total_seconds()))
