"""What is kept of scheduled runs: when the last one was due, begun and ended, and how.

Each host keeps it beside its results. What one host does for all that work on a log is kept with the log too,
so that whichever does it next knows of the last run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from store.errors import StoreError
from store.plan_store import PlanStore
from store.reading import Reader
from store.residence import Residence

log = structlog.get_logger("schedule")

FOLDER, STATE = "schedule", "state.json"
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
    """What a host shares with the others on its log: entries of one name are done by one of them."""

    store: PlanStore
    residence: Residence
    host: str

    def has(self, name: str) -> bool:
        """Whether this host does the entry."""
        return self.residence.has(duty_of(name))

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
