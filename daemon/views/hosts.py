"""The training hosts for programs: how each stands, what it has, and what it does now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from daemon.views.host_words import HostTold, state_of
from daemon.views.waiting import Watch
from store.ids import host_of
from store.reading import Reader
from store.records import FitRow, HostRow

WORST_FIRST = ("gone", "silent", "draining", "drained", "up", "stopped", "removed")


def host_documents(reader: Reader, watch: Watch, hosts: Collection[HostTold]) -> list[dict[str, Any]]:
    """Return each host with its places, what runs there, how it stands and why it is paused."""
    running = running_by_host(reader.fits(states=("claimed", "running")))
    return [_document(reader, told, watch, running.get(told.row.host, Counter())) for told in hosts]


def running_by_host(fits: Collection[FitRow]) -> dict[str, Counter[str]]:
    """Return how many of the fits at work each host has, by stage; what its agents do counts too."""
    found: dict[str, Counter[str]] = {}
    for fit in fits:
        if fit.worker is not None:
            found.setdefault(host_of(fit.worker), Counter())[fit.stage] += 1
    return found


def standing(watch: Watch, row: HostRow, running: int) -> str:
    """Return how a host stands, in a word of `state_of`."""
    is_alive = row.worker in watch.workers
    return state_of(row, is_alive=is_alive, is_gone=watch.is_gone(row.worker), running=running)


def _document(reader: Reader, told: HostTold, watch: Watch, here: Counter[str]) -> dict[str, Any]:
    row = told.row
    start = reader.last_start(row.host)
    said = {} if start is None else start.data
    return told.document | {
        "alive": row.state == "working" and row.worker in watch.workers,
        "standing": standing(watch, row, here.total()),
        "cpu_slots": said.get("cpu_slots"),
        "gpu_slots": said.get("gpu_slots"),
        "memory_bytes": said.get("memory_bytes"),
        "running": {"cpu": here["cpu"], "gpu": here["gpu"]},
        "pauses": [pause.reason for pause in watch.pauses if pause.host == row.host],
    }
