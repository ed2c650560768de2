"""What the store hands out: claims, receipts, rows for readers, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.awaited import Awaited, Part
from store.moments import iso_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The receipt of a plan; `new` is False when the same plan was accepted before, and `at` is when."""

    plan_id: str
    new: bool
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a fit can resume: the last durable step, its path, and the attempt and fence that wrote it."""

    step: int
    path: str
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run one fit until `lease_until`, under a fencing number, with all it needs to start.

    Attributes:
        parts: the finished fits it is made from.
        other_targets: further targets it learns beside its own.
        labels: what its host must have.
    """

    fit_id: str
    plan_id: str
    job_id: str
    family: str
    stage: str
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    features: tuple[str, ...] | None
    job: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    worker: str
    attempt: int
    fence: int
    lease_seconds: float
    lease_until: datetime
    checkpoint: Checkpoint | None
    cores: int = 1
    gpus: int = 0
    memory_bytes: int = 0
    parts: tuple[Part, ...] = ()
    other_targets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt's failure as its process reported it; the store decides whether it is tried again."""

    cause: str
    sentence: str
    where: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """A fit taken back from a lease that ended; `final` when it had ended too often to be tried again."""

    fit_id: str
    plan_id: str
    job_id: str
    attempt: int
    family: str
    worker: str
    cause: str
    lost_seconds: float
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousStop:
    """How the daemon before this one ended on the same host, in words; `clean` when it said goodbye.

    `at` is when that was, or the last sign of life of one that said nothing.
    """

    cause: str
    clean: bool
    worker: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a host has free for fits: places of the CPU stage, devices, main memory (None: not counted).

    `whole` is what it has when nothing runs, if it keeps room for fits that need much of it.
    """

    cores: int
    gpus: int
    memory_bytes: int | None = None
    whole: Room | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRow:
    """Nothing of this scope is claimed, None standing for all: since when, by whom and why."""

    plan: str | None
    stage: str | None
    host: str | None
    reason: str
    at: datetime
    actor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyGroup:
    """Ready fits of one stage of a plan that are alike in what holds them back; `first` is one of them."""

    plan_id: str
    stage: str
    fits: int
    first: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What there may be to do: the stages with ready fits, claimable or not, and whether a plan is open."""

    ready: frozenset[str]
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a host asks at each turn: the log's end, what there may be to do, the fences of its fits."""

    head: int
    prospect: Prospect
    fences: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The verdict on a database; each problem is a sentence that names the place."""

    ok: bool
    events: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a database is: engine, place, size, counts, and warnings about it."""

    url: str
    engine: str
    engine_version: str
    schema: str
    events: int
    plans: int
    fits: int
    size_bytes: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event for a reader; the payload is already a mapping."""

    seq: int
    event_id: str
    stream: str
    version: int
    kind: str
    schema_version: int
    at: datetime
    actor: str
    correlation: str | None
    plan: str | None
    job: str | None
    fit: str | None
    attempt: int | None
    data: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the event as the command line prints it, its time in ISO UTC."""
        return {
            "seq": self.seq,
            "at": iso_utc(self.at),
            "kind": self.kind,
            "plan": self.plan,
            "job": self.job,
            "fit": self.fit,
            "attempt": self.attempt,
            "actor": self.actor,
            "stream": self.stream,
            "version": self.version,
            "schema_version": self.schema_version,
            "id": self.event_id,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One plan for a reader, with the counts of its fits by state."""

    id: str
    name: str
    source: str
    sha256: str
    panel_key: str | None
    stage_barrier: str
    state: str
    jobs: int
    fits: int
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int
    accepted_at: datetime
    completed_at: datetime | None
    data: Mapping[str, Any]
    training: Mapping[str, Any]

    @property
    def open(self) -> int:
        """Fits that are not final yet."""
        return self.fits - self.succeeded - self.failed - self.unavailable - self.cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job for a reader; `record` is the job as the document has it."""

    plan_id: str
    job_id: str
    ordinal: int
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    reason: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRow:
    """One fit for a reader: state is ready, claimed, running, succeeded, failed, unavailable or cancelled."""

    id: str
    plan_id: str
    job_id: str
    family: str
    stage: str
    ordinal: int
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    stage_barrier: str
    state: str
    attempt: int
    failures: int
    expiries: int
    fence: int
    worker: str | None
    lease_until: datetime | None
    not_before_at: datetime | None
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    pid: int | None
    device_used: str | None
    device_reason: str | None
    log: str | None
    step: int | None
    steps_total: int | None
    train_loss: float | None
    valid_loss: float | None
    checkpoint_step: int | None
    checkpoint_path: str | None
    bundle: str | None
    bundle_sha256: str | None
    metrics: Mapping[str, Any] | None
    seconds: float | None
    cause: str | None
    sentence: str | None
    place: str | None
    cores: int
    gpus: int
    memory_bytes: int
    waits_for: int
    depends_on: tuple[str, ...]
    held: str | None
    awaits: tuple[Awaited, ...] = ()
    other_targets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The fit's display name, ``<job_id>/<Family>``."""
        return f"{self.job_id}/{self.family}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One try at a fit, read from its events; `outcome` is the kind of the event that ended it, or None."""

    fit_id: str
    attempt: int
    fence: int
    worker: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    cause: str | None
    sentence: str | None
    pid: int | None
    device_used: str | None
    log: str | None
    resumed_from_step: int | None
    checkpoint_step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision of the planner about a target; `data` is the event's payload."""

    seq: int
    planning_id: str
    kind: str
    target: str | None
    view: str | None
    symbol: str | None
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow:
    """The last known daemon of a host; `state` is working or stopped.

    Attributes:
        labels: what the host offers beside its room.
        machine: which machine it is, by a hash of its own number; empty where that is not known.
        engine: where its fits run.
        draining: why it claims nothing more, maybe in no words; None where it claims.
        give_back: whether it gives back what it runs while it drains.
        removed_at: when it was removed, if it was and has not started since.
        beat_at: when it was last heard of, if it was.
        running: how many fits it had at work then.
        trouble: what it lacked then, though it worked: its cluster, its place of artefacts.
    """

    host: str
    worker: str
    version: str
    boot_id: str
    pid: int
    state: str
    started_at: datetime
    stopped_at: datetime | None
    cause: str | None
    previous_stop: str
    labels: tuple[str, ...] = ()
    machine: str = ""
    engine: str = "own"
    draining: str | None = None
    give_back: bool = False
    removed_at: datetime | None = None
    beat_at: datetime | None = None
    running: int | None = None
    trouble: str | None = None
