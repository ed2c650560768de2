"""The composition root: builds the parts of the training host, starts them and stops them in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.news import Tell, keep_quiet
from daemon.settings import Settings
from store.plan_store import PlanStore
from store.records import Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """How a drain ended: counts of fits over all its plans; `interrupted` when stopped before the end."""

    plan_ids: tuple[str, ...]
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int
    interrupted: bool


def submit_plan(
    settings: Settings,
    store: PlanStore,
    plan: Path | Mapping[str, Any],
    *,
    name: str | None = None,
    source: str | None = None,
    planning_id: str | None = None,
) -> Accepted:
    """Check a plan (a directory, or a document) against the data and record it; raises PlanRejected.

    The same code the drop folder uses; the rejection is recorded as an event too. PlanRejected, DaemonError.
    """
    raise NotImplementedError


def drain(
    settings: Settings, store: PlanStore, plan_ids: Collection[str], *, tell: Tell = keep_quiet
) -> Drained:
    """Run fits in this process's children until those plans are final; SIGINT and SIGTERM stop it cleanly."""
    raise NotImplementedError


def serve(settings: Settings, *, until_idle: bool = False) -> int:
    """Be the daemon until SIGTERM or SIGINT (or, `until_idle`, until nothing is left); returns the exit code.

    Raises AlreadyServing (exit 75), InboxUnsafe, StoreError.
    """
    raise NotImplementedError
