"""What has happened: the event-sourced plan store, the only package that knows SQL.

The face is lazy: a name loads its module when it is first asked for, so that a reading command pays
for reading only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.errors import (
        ConcurrentAppend,
        DatabaseUnavailable,
        DatabaseUnsafe,
        EventIdReused,
        LeaseLost,
        LogDamaged,
        NotFound,
        PlanRejected,
        SchemaBehind,
        StoreError,
        WriteRefused,
        WrongState,
    )
    from store.ids import fit_id_of, new_event_id, new_planning_id
    from store.plan import FamilyEntry, Fit, Job, Plan
    from store.plan_document import complete_plan, find_plan, load_plan_directory, parse_plan_text
    from store.plan_store import PlanStore, RetryPolicy, Room, open_store
    from store.reading import Reader, open_reader
    from store.reasons import WaitingContext, WaitingReason, waiting_reason
    from store.records import (
        Accepted,
        AttemptRow,
        Checkpoint,
        Claim,
        DecisionRow,
        EventRow,
        Failure,
        FitRow,
        HostRow,
        Info,
        JobRow,
        PlanRow,
        PreviousStop,
        Rescue,
        Verification,
    )

_HOMES = {
    "store.errors": (
        "ConcurrentAppend", "DatabaseUnavailable", "DatabaseUnsafe", "EventIdReused", "LeaseLost",
        "LogDamaged", "NotFound", "PlanRejected", "SchemaBehind", "StoreError", "WriteRefused",
        "WrongState",
    ),
    "store.ids": ("fit_id_of", "new_event_id", "new_planning_id"),
    "store.plan": ("FamilyEntry", "Fit", "Job", "Plan"),
    "store.plan_document": ("complete_plan", "find_plan", "load_plan_directory", "parse_plan_text"),
    "store.plan_store": ("PlanStore", "RetryPolicy", "Room", "open_store"),
    "store.reading": ("Reader", "open_reader"),
    "store.reasons": ("WaitingContext", "WaitingReason", "waiting_reason"),
    "store.records": (
        "Accepted", "AttemptRow", "Checkpoint", "Claim", "DecisionRow", "EventRow", "Failure", "FitRow",
        "HostRow", "Info", "JobRow", "PlanRow", "PreviousStop", "Rescue", "Verification",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Accepted", "AttemptRow", "Checkpoint", "Claim", "ConcurrentAppend", "DatabaseUnavailable",
    "DatabaseUnsafe", "DecisionRow", "EventIdReused", "EventRow", "Failure", "FamilyEntry", "Fit",
    "FitRow", "HostRow", "Info", "Job", "JobRow", "LeaseLost", "LogDamaged", "NotFound", "Plan",
    "PlanRejected", "PlanRow", "PlanStore", "PreviousStop", "Reader", "Rescue", "RetryPolicy", "Room",
    "SchemaBehind", "StoreError", "Verification", "WaitingContext", "WaitingReason", "WriteRefused",
    "WrongState", "complete_plan", "find_plan", "fit_id_of", "load_plan_directory", "new_event_id",
    "new_planning_id", "open_reader", "open_store", "parse_plan_text", "waiting_reason",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Return a name of the face, loading its module now; raises AttributeError for any other name."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'store' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    return found
