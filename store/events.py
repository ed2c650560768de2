"""The facts: every event of the log, a frozen record in the past tense.

An event holds only what its stream does not already say: the plan, job, fit and attempt it is about are
columns of the log. The fence of a lease is the stream version of its `FitClaimed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from store.awaited import Awaited
from store.handover_events import FitHandedOver
from store.host_events import (
    DaemonReloaded,
    DaemonStarted,
    DaemonStopped,
    HostDraining,
    HostEvent,
    HostRemoved,
    HostReturned,
)
from store.planning_events import (
    FeaturesSelected,
    LeakFound,
    PlanningEvent,
    PlanningFinished,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFit:
    """One fit inside `JobPlanned`: its id, family, stage and place in the plan, and what it needs to start.

    Attributes:
        cores: places of the CPU stage it takes while it runs; None takes one in the CPU stage, else none.
        gpus: devices it takes while it runs; None takes one in the GPU stage, else none.
        memory_bytes: main memory it is expected to take; 0 when nobody said.
        depends_on: ids of fits that must have succeeded before it starts.
        awaits: fits it is made from, which must have ended before it starts.
        followers: ids of the fits that are made from it, in any job of the plan.
        other_targets: further targets it learns beside that of its job.
        labels: what its host must have, in order.
    """

    fit: str
    family: str
    stage: str
    ordinal: int
    cores: int | None = None
    gpus: int | None = None
    memory_bytes: int = 0
    depends_on: tuple[str, ...] = ()
    awaits: tuple[Awaited, ...] = ()
    followers: tuple[str, ...] = ()
    other_targets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAccepted:
    """A plan was accepted; `header` is its document without the jobs, which follow as `JobPlanned`."""

    kind: ClassVar[str] = "PlanAccepted"
    schema_version: ClassVar[int] = 1
    plan: str
    sha256: str
    name: str
    source: str
    jobs: int
    fits: int
    panel_key: str | None
    stage_barrier: str
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    header: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlanned:
    """A job and its fits came into being with their plan; `record` is the job as the document has it."""

    kind: ClassVar[str] = "JobPlanned"
    schema_version: ClassVar[int] = 1
    job: str
    ordinal: int
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    reason: str
    record: Mapping[str, Any]
    fits: tuple[PlannedFit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRefused:
    """A plan was rejected: what is wrong, where, and what to do about it."""

    kind: ClassVar[str] = "PlanRejected"
    schema_version: ClassVar[int] = 1
    name: str
    source: str
    place: str
    sentence: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCompleted:
    """The last fit of a plan became final; the counts are of fits."""

    kind: ClassVar[str] = "PlanCompleted"
    schema_version: ClassVar[int] = 1
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitUnavailable:
    """A fit cannot run: the reason names what is missing, `needs` the fit that did not succeed, if any.

    It is empty where the plan itself has too little for the fit.
    """

    kind: ClassVar[str] = "FitUnavailable"
    schema_version: ClassVar[int] = 1
    reason: str
    needs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitClaimed:
    """A lease on a fit was given; its fence is the stream version of this event."""

    kind: ClassVar[str] = "FitClaimed"
    schema_version: ClassVar[int] = 1
    worker: str
    attempt: int
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStarted:
    """The training process runs, on this device, from this checkpoint if any."""

    kind: ClassVar[str] = "FitStarted"
    schema_version: ClassVar[int] = 1
    pid: int
    device_requested: str
    device_used: str
    device_reason: str = ""
    resumed_from_step: int | None = None
    resumed_from_attempt: int | None = None
    rows_train: int = 0
    rows_valid: int = 0
    rows_test: int = 0
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitProgressed:
    """The training got this far."""

    kind: ClassVar[str] = "FitProgressed"
    schema_version: ClassVar[int] = 1
    step: int
    steps_total: int
    train_loss: float | None = None
    valid_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is durable on disk; the next attempt can resume from it."""

    kind: ClassVar[str] = "CheckpointSaved"
    schema_version: ClassVar[int] = 1
    step: int
    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSucceeded:
    """The bundle is durable on disk; the fit is final."""

    kind: ClassVar[str] = "FitSucceeded"
    schema_version: ClassVar[int] = 1
    bundle: str
    sha256: str
    metrics: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFailed:
    """An attempt failed; with `retry` the fit is ready again at `retry_at`, else it is final.

    An attempt that is not `counted` uses up none of the fit's attempts: the host was at fault.
    """

    kind: ClassVar[str] = "FitFailed"
    schema_version: ClassVar[int] = 1
    cause: str
    sentence: str
    where: str = ""
    retry: bool = False
    retry_at: datetime | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReleased:
    """A clean stop gave the fit back; it is ready at once and nothing counts against it."""

    kind: ClassVar[str] = "FitReleased"
    schema_version: ClassVar[int] = 1
    cause: str
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExpired:
    """A lease ended without a last word; the work since the last checkpoint is lost."""

    kind: ClassVar[str] = "LeaseExpired"
    schema_version: ClassVar[int] = 1
    worker: str
    cause: str
    last_seen_at: datetime | None
    last_checkpoint_step: int | None
    lost_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRetried:
    """A person asked for a final fit to be tried again; its counts of failures start anew."""

    kind: ClassVar[str] = "FitRetried"
    schema_version: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCancelled:
    """A person cancelled a fit; a lease on it has ended."""

    kind: ClassVar[str] = "FitCancelled"
    schema_version: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitHeld:
    """A person put a hold on a fit: it is not claimed until the hold is lifted; a running attempt goes on."""

    kind: ClassVar[str] = "FitHeld"
    schema_version: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitHoldLifted:
    """The hold on a fit was lifted."""

    kind: ClassVar[str] = "FitHoldLifted"
    schema_version: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPaused:
    """Nothing more of a plan, of a stage, or on a host is claimed; None stands for all of them."""

    kind: ClassVar[str] = "WorkPaused"
    schema_version: ClassVar[int] = 1
    plan: str | None
    stage: str | None
    host: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkResumed:
    """The pause of exactly this scope has ended."""

    kind: ClassVar[str] = "WorkResumed"
    schema_version: ClassVar[int] = 1
    plan: str | None
    stage: str | None
    host: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArchived:
    """A finished plan's events were written to a file outside the log and read back; its SHA-256 is kept."""

    kind: ClassVar[str] = "PlanArchived"
    schema_version: ClassVar[int] = 1
    plan: str
    path: str
    sha256: str
    events: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent:
    """An event of a kind or shape this version does not know: readable, and without effect."""

    kind: ClassVar[str] = "UnknownEvent"
    schema_version: ClassVar[int] = 0
    named: str
    version: int
    data: Mapping[str, Any]


PlanEvent = PlanAccepted | JobPlanned | PlanRefused | PlanCompleted | PlanArchived
FitEvent = (
    FitUnavailable
    | FitClaimed
    | FitStarted
    | FitProgressed
    | CheckpointSaved
    | FitSucceeded
    | FitFailed
    | FitReleased
    | LeaseExpired
    | FitRetried
    | FitCancelled
    | FitHeld
    | FitHoldLifted
    | FitHandedOver
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPromoted:
    """A model got a name of its own, by which it is used; the same name again means the newer model."""

    kind: ClassVar[str] = "ModelPromoted"
    schema_version: ClassVar[int] = 1
    alias: str
    model: str
    plan: str
    name: str
    bundle: str
    sha256: str
    reason: str = ""


PauseEvent = WorkPaused | WorkResumed
Event = PlanEvent | FitEvent | PauseEvent | ModelPromoted | HostEvent | PlanningEvent | UnknownEvent

EVENT_TYPES: tuple[type[Event], ...] = (
    PlanAccepted, JobPlanned, PlanRefused, PlanCompleted, FitUnavailable, FitClaimed, FitStarted,
    FitProgressed, CheckpointSaved, FitSucceeded, FitFailed, FitReleased, LeaseExpired, FitRetried,
    FitCancelled, DaemonStarted, DaemonStopped, PlanningStarted, TargetRanked, LeakFound, FeaturesSelected,
    RouteChosen, PlanningFinished, FitHeld, FitHoldLifted, WorkPaused, WorkResumed, PlanArchived,
    DaemonReloaded, ModelPromoted, FitHandedOver, HostDraining, HostReturned, HostRemoved,
)  # fmt: skip
