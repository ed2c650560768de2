"""The training hosts for programs: what each has, and what it does now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from daemon.views.host_words import HostTold
from daemon.views.waiting import Watch
from store.reading import Reader
from store.records import FitRow


def host_documents(reader: Reader, watch: Watch, hosts: Collection[HostTold]) -> list[dict[str, Any]]:
    """Return each host with its places, what runs there and why it is paused."""
    running = reader.fits(states=("claimed", "running"))
    return [_document(reader, told, watch, running) for told in hosts]


def _document(reader: Reader, told: HostTold, watch: Watch, running: Collection[FitRow]) -> dict[str, Any]:
    row = told.row
    start = reader.last_start(row.host)
    said = {} if start is None else start.data
    alive = row.state == "working" and row.worker in watch.workers
    here = Counter(fit.stage for fit in running if fit.worker == row.worker)
    return told.document | {
        "alive": alive,
        "cpu_slots": said.get("cpu_slots"),
        "gpu_slots": said.get("gpu_slots"),
        "memory_bytes": said.get("memory_bytes"),
        "running": {"cpu": here["cpu"], "gpu": here["gpu"]},
        "pauses": [pause.reason for pause in watch.pauses if pause.host == row.host],
    }
