"""What is kept of scheduled runs: when the last one was due, begun and ended, and how.

Each host keeps it beside its results. What one host does for all that work on a log is kept with the log too,
so that whichever does it next knows of the last run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from store.errors import NotFound, StoreError
from store.host_reading import SILENT_SECONDS
from store.moments import moment_of
from store.plan_store import PlanStore
from store.reading import Reader
from store.residence import Residence

log = structlog.get_logger("schedule")

FOLDER, STATE = "schedule", "state.json"
WATCH_SECONDS = 15.0  # for a sign of life of a host that was at a run: it may be coming back like this one
State = dict[str, dict[str, Any]]


def read_state(folder: Path) -> State:
    """Return what is kept of the runs of each entry; nothing where nothing readable is."""
    try:
        found = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): one for name, one in found.items() if isinstance(one, dict)}


def duty_of(name: str) -> str:
    """Return the name of the duty to do an entry for all hosts, and of the bookmark of its last run."""
    return f"schedule {name}"


def shared_state(reader: Reader, name: str) -> dict[str, Any]:
    """Return what the log's hosts have kept of the runs of an entry; raises StoreError."""
    found = reader.bookmark(duty_of(name))
    return {} if found is None else dict(found.data)


def newest_of(own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the later one of what this host and all hosts together have kept of an entry."""
    began = [moment_in(one, "began_at") or moment_in(one, "due_at") for one in (own, shared)]
    is_own = began[1] is None or (began[0] is not None and began[0] > began[1])
    return dict(own if is_own else shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What a host shares with the others on its log: entries of one name are done by one of them.

    `worker` is the daemon's name: a run goes on as long as the daemon that began it.
    """

    store: PlanStore
    residence: Residence
    host: str
    worker: str = ""
    clock: Callable[[], float] = time.monotonic
    watched: dict[str, float] = field(default_factory=dict)  # since when a run of another host is looked at

    def has(self, name: str) -> bool:
        """Whether this host does the entry."""
        return self.residence.has(duty_of(name))

    def is_at_work(self, name: str) -> bool:
        """Whether another host may still be at the run of an entry that it began; raises StoreError.

        The duty goes with a connection, the run does not: a server that is started anew lets go of every duty
        at once. Then the signs of life of its daemon tell.
        """
        known = shared_state(self.store.reading, name)
        is_open = "began_at" in known and "ended_at" not in known
        if is_open and known.get("host") != self.host and self._may_live(name, known):
            return True
        self.watched.pop(name, None)
        return False

    def _may_live(self, name: str, known: Mapping[str, Any]) -> bool:
        reader = self.store.reading
        if not reader.is_shared:  # the kernel lets go of a duty when its process has ended
            return False
        try:
            row = reader.host(str(known.get("host")))
        except NotFound:
            return False
        if row.worker != known.get("worker") or row.state != "working" or row.removed_at is not None:
            return False
        if self.clock() - self.watched.setdefault(name, self.clock()) < WATCH_SECONDS:
            return True
        seen_at = row.beat_at or row.started_at
        return (moment_of(reader.now()) - seen_at).total_seconds() < SILENT_SECONDS

    def leave(self, name: str) -> None:
        """Let another host do the entry."""
        self.residence.leave(duty_of(name))

    def learn(self, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is known of the last run, whichever host did it; raises StoreError."""
        return newest_of(own, shared_state(self.store.reading, name))

    def keep(self, name: str, one: Mapping[str, Any]) -> None:
        """Keep what is known of the last run with the log; one that takes no word is told of."""
        try:
            self.store.bookmark(duty_of(name), seq=self.store.head_seq(), data=one)
        except StoreError as error:
            log.warning("when what was scheduled ran is not kept for all", name=name, cause=str(error))


def moment_in(known: Mapping[str, Any], key: str) -> datetime | None:
    """Return a moment that was kept; None where none is, or nothing that can be one."""
    try:
        moment = datetime.fromisoformat(str(known.get(key)))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
