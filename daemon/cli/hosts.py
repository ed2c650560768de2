"""``trainwright hosts``: the training hosts that share this log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.cli.lazy import LazyGroup
from daemon.cli.screen import Tone, emit, say, table
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.host_words import HostTold, hosts_told
from daemon.views.hosts import host_documents
from daemon.views.waiting import Watch
from daemon.views.words import moment, span

TONES: dict[str, Tone] = {"up": "good", "gone": "bad", "stopped": "faint"}
COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("daemon.cli.hosts:ls", "each host: up or not, its places, what runs there, its pauses"),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog="Example: trainwright hosts ls")
def hosts() -> None:
    """List the training hosts that share this log."""


@click.command(epilog="Example: trainwright hosts ls")
@results_option
@json_option
def ls(*, as_json: bool, **options: Path | None) -> None:
    """List the hosts that ever worked on this log, with what each has and does."""
    with reader_for(**options) as reader:
        watch = Watch(reader)
        found = hosts_told(reader, watch.hosts)
        documents = host_documents(reader, watch, found)
    if as_json:
        emit({"at": watch.now, "hosts": documents})
        return
    if not documents:
        say("no host has worked on this log yet: trainwright daemon")
        return
    rows = [_row(told, document, watch) for told, document in zip(found, documents, strict=True)]
    headers = ("host", "state", "since", "cpu", "gpu", "running", "version", "note")
    say(table(headers, rows, right=("cpu", "gpu", "running"), shrink="note", tones={"state": TONES}))


def _row(told: HostTold, document: dict[str, Any], watch: Watch) -> tuple[object, ...]:
    row = told.row
    state = "up" if document["alive"] else "gone" if row.state == "working" else "stopped"
    since = moment(row.stopped_at)
    if state != "stopped":
        since = f"{span((watch.now - row.started_at).total_seconds())} ago"
    note = row.cause if state == "stopped" else "gone without a word; start it: trainwright daemon"
    pauses = "; ".join(document["pauses"])
    paused = f"paused: {pauses}" if pauses else ""
    running = sum(document["running"].values()) if state == "up" else None
    return (
        row.host, state, since, document["cpu_slots"], document["gpu_slots"], running, row.version,
        "; ".join(filter(None, (note if state != "up" else "", paused))),
    )  # fmt: skip
